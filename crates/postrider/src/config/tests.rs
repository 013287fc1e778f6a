use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use postrider_core::schedule::{Jitter, RetrySchedule};
use postrider_signature::{BodyForm, ListHeaders, SigningProfile};

use super::*;
use crate::engine::UnknownEventTypes;

const SEALING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The configuration of flags, variables and the text of a file (mode 0600).
fn config(
    flags: &[(&'static str, &str)],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Config, ConfigError> {
    let mut kept = tempfile::NamedTempFile::new().unwrap();
    kept.write_all(file.as_bytes()).unwrap();
    let mut flags: BTreeMap<&'static str, String> =
        flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    flags.insert("config", kept.path().to_str().unwrap().to_owned());
    let variables = variables.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
    Config::from_sources(&Sources::read(flags, variables)?)
}

/// What refuses, with the file's changing path left out.
fn refusal(flags: &[(&'static str, &str)], variables: &[(&str, &str)], file: &str) -> String {
    let error = config(flags, variables, file).expect_err("is refused");
    let text = error.to_string();
    match &error.origin {
        Origin::File(path) => text.replace(&format!("file {}", path.display()), "file"),
        _ => text,
    }
}

#[test]
fn nothing_given_is_a_safe_server_on_this_machine() {
    let config = config(&[], &[], "").unwrap();
    assert!(!config.is_dev && !config.allow_http);
    assert!(config.danger_allow_networks.is_empty() && config.profiles.is_empty());
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.data_dir, PathBuf::from("./postrider-data"));
    assert_eq!(config.public_url("127.0.0.1:4711".parse().unwrap()), "http://127.0.0.1:4711");
    assert_eq!(config.default_profile, "standard");
    assert_eq!((config.body_limit_bytes, config.retention_days), (1 << 20, 30));
    assert_eq!(config.drain, Duration::from_secs(20));
    assert_eq!(config.attempt_timeout, Duration::from_secs(15));
    assert_eq!(config.webhooks_per_tenant_max, 10_000);
    assert_eq!(config.health, HealthPolicy::default());
    assert_eq!(config.metrics, MetricsAccess::Admin);
    assert_eq!(config.unknown_event_types, UnknownEventTypes::Refuse);
    assert_eq!(config.look.name, "Postrider");
    assert!(config.look.logo.is_none() && config.look.embed_origins.is_empty());
    assert_eq!(config.log, LogConfig { format: LogFormat::Text, level: LogLevel::Info });
}

#[test]
fn dev_opens_loopback_but_never_overrules_what_was_given() {
    let dev = config(&[("dev", "true")], &[], "").unwrap();
    assert!(dev.is_dev && dev.allow_http);
    let networks: Vec<String> = dev.danger_allow_networks.iter().map(Network::to_string).collect();
    assert_eq!(networks, ["127.0.0.0/8", "::1/128"]);
    assert_eq!(dev.log.format, LogFormat::Pretty);

    let strict = "allow_http = false\ndanger_allow_networks = []\nlog_format = 'json'";
    let strict = config(&[("dev", "true")], &[], strict).unwrap();
    assert!(!strict.allow_http && strict.danger_allow_networks.is_empty());
    assert_eq!(strict.log.format, LogFormat::Json);
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let file = "retention_days = 3\ndrain_seconds = 4\nlog_level = 'warn'";
    let variables = [("POSTRIDER_RETENTION_DAYS", "5"), ("POSTRIDER_DRAIN_SECONDS", "6")];
    let config = config(&[("retention_days", "7")], &variables, file).unwrap();
    assert_eq!(config.retention_days, 7);
    assert_eq!(config.drain, Duration::from_secs(6));
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(config.body_limit_bytes, 1 << 20);
}

#[test]
fn every_setting_can_be_given_in_the_file_and_as_a_variable() {
    let logo = tempfile::NamedTempFile::with_suffix(".svg").unwrap();
    std::fs::write(logo.path(), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
    let file = format!(
        "dev = false\nlisten = '[::1]:1'\ndata_dir = '/d'\npublic_url = 'https://hooks.example.com/'\n\
         admin_key = '{0}'\nsealing_key = '{SEALING}'\nold_sealing_keys = []\n\
         default_profile = 'automa'\ndanger_allow_networks = ['10.0.0.0/8']\nallow_http = true\n\
         body_limit_bytes = 2048\nretention_days = 1\nlog_format = 'json'\nlog_level = 'trace'\n\
         drain_seconds = 0\nattempt_timeout_seconds = 30\nwebhooks_per_tenant_max = 1\n\
         disable_failing_after_s = 0\nreport_failures_in_a_row = 1000\nmetrics = 'open'\n\
         unknown_event_types = 'accept'\ndashboard_name = 'Acme'\ndashboard_logo = '{1}'\n\
         dashboard_accent = '#0a7a4b'\ndashboard_embed_origins = ['https://app.example.com']",
        "k".repeat(24),
        logo.path().display(),
    );
    let table: toml::Table = file.parse().unwrap();
    let mut names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    names.sort_unstable();
    assert_eq!(
        table.keys().map(String::as_str).collect::<Vec<_>>(),
        names,
        "the file above has all"
    );

    let from_file = config(&[], &[], &file).unwrap();
    let texts: Vec<(String, String)> = table
        .iter()
        .map(|(name, value)| {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Array(items) => {
                    items.iter().filter_map(|i| i.as_str()).collect::<Vec<_>>().join(",")
                }
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(is) => is.to_string(),
                other => panic!("no setting is a {}", other.type_str()),
            };
            (setting::setting(name).unwrap().variable(), text)
        })
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let variables: Vec<(&str, &str)> = texts.iter().map(|(n, v)| (&**n, &**v)).collect();
    let from_variables = config(&[], &variables, "").unwrap();
    assert_eq!(format!("{from_file:?}"), format!("{from_variables:?}"));
    assert_eq!(from_file.admin_key, from_variables.admin_key);
    assert!(from_file.sealing_key.is_some() && from_file.sealing_key == from_variables.sealing_key);
    let bound = "127.0.0.1:1".parse().unwrap();
    assert_eq!(from_file.public_url(bound), "https://hooks.example.com");
}

#[test]
fn failing_is_borne_for_as_long_as_it_says() {
    let borne = |text| {
        let given = config(&[("disable_failing_after_s", text)], &[], "");
        given.map(|config| config.health.disable_after_ms)
    };
    assert_eq!(borne("0"), Ok(None));
    assert_eq!(borne("1"), Ok(Some(1_000)));
    assert_eq!(borne("31536000"), Ok(Some(31_536_000_000)));
    for bad in ["-1", "31536001", "5d", ""] {
        assert!(borne(bad).is_err(), "{bad}");
    }
    assert_eq!(
        refusal(&[("metrics", "public")], &[], ""),
        "metrics (--metrics): \"public\" is unknown; give one of admin, open"
    );
}

#[test]
fn refusals_in_the_file_name_the_setting_and_the_mend() {
    for (file, expected) in [
        ("lisen = ''", "lisen (file): no such setting; did you mean listen?"),
        (
            "allow_networks = []",
            "allow_networks (file): no such setting; did you mean danger_allow_networks?",
        ),
        (
            "xyzzy = 1",
            "xyzzy (file): no such setting; remove it; `postrider serve --help` lists the settings",
        ),
        (
            "listen = 8080",
            "listen (file): a TOML integer can't be meant here; write it as a text in quotes",
        ),
        (
            "listen = 'localhost:80'",
            "listen (file): \"localhost:80\" is not an IP address and a port; give one such as 127.0.0.1:8080 or [::1]:8080",
        ),
        (
            "retention_days = 0",
            "retention_days (file): the number is out of range; give a whole number from 1 to 3650",
        ),
        (
            "retention_days = '7'",
            "retention_days (file): a TOML string can't be meant here; write a whole number, without quotes",
        ),
        (
            "dev = 'true'",
            "dev (file): a TOML string can't be meant here; write true or false, without quotes",
        ),
        (
            "danger_allow_networks = '10.0.0.0/8'",
            "danger_allow_networks (file): a TOML string can't be meant here; write an array of texts",
        ),
        (
            "danger_allow_networks = [1]",
            "danger_allow_networks (file): a TOML integer can't be meant here; write texts in quotes",
        ),
        ("profiles = 1", "profiles (file): is no table; write tables such as [profiles.acme]"),
        ("a = 1\nb =", "config (file): line 2: "),
    ] {
        assert!(
            refusal(&[], &[], file).starts_with(expected),
            "{file}: {}",
            refusal(&[], &[], file)
        );
    }
}

#[test]
fn refusals_of_variables_name_the_setting_and_the_mend() {
    for (name, value, expected) in [
        (
            "POSTRIDER_LISTENS",
            "x",
            "POSTRIDER_LISTENS (POSTRIDER_LISTENS): no such setting; did you mean POSTRIDER_LISTEN?",
        ),
        (
            "POSTRIDER_API_KEYS",
            "x",
            "POSTRIDER_API_KEYS (POSTRIDER_API_KEYS): no such setting; did you mean POSTRIDER_API_KEY?",
        ),
        (
            "POSTRIDER_ADMIN_KEY",
            "",
            "POSTRIDER_ADMIN_KEY (POSTRIDER_ADMIN_KEY): is empty; unset it or give it a value",
        ),
        (
            "POSTRIDER_ADMIN_KEY",
            "short",
            "admin_key (POSTRIDER_ADMIN_KEY): is shorter than 24 characters; give 24 to 256 visible ASCII characters, such as `openssl rand -hex 32` makes",
        ),
        (
            "POSTRIDER_ADMIN_KEY",
            "a key with spaces in its middle",
            "admin_key (POSTRIDER_ADMIN_KEY): holds spaces or characters beyond ASCII; ",
        ),
        (
            "POSTRIDER_SEALING_KEY",
            "AAEC",
            "sealing_key (POSTRIDER_SEALING_KEY): is not Base64 of 32 bytes; make one with `openssl rand -base64 32`",
        ),
        (
            "POSTRIDER_OLD_SEALING_KEYS",
            "AAEC",
            "old_sealing_keys (POSTRIDER_OLD_SEALING_KEYS): is not Base64 of 32 bytes; ",
        ),
        (
            "POSTRIDER_PUBLIC_URL",
            "ftp://a",
            "public_url (POSTRIDER_PUBLIC_URL): \"ftp://a\" does not begin with https:// or http://; give scheme, host",
        ),
        (
            "POSTRIDER_PUBLIC_URL",
            "https://a/b",
            "public_url (POSTRIDER_PUBLIC_URL): \"https://a/b\" has something behind the host; ",
        ),
        (
            "POSTRIDER_PUBLIC_URL",
            "https://u:p@a",
            "public_url (POSTRIDER_PUBLIC_URL): holds a user name; give the address alone",
        ),
    ] {
        let text = refusal(&[], &[(name, value)], "");
        assert!(text.starts_with(expected), "{name}={value}: {text}");
    }
}

#[test]
fn refusals_of_values_say_what_to_give_instead() {
    for (name, value, expected) in [
        (
            "POSTRIDER_DEFAULT_PROFILE",
            "standart",
            "default_profile (POSTRIDER_DEFAULT_PROFILE): no profile is named \"standart\"; did you mean standard?",
        ),
        (
            "POSTRIDER_DEFAULT_PROFILE",
            "x",
            "default_profile (POSTRIDER_DEFAULT_PROFILE): no profile is named \"x\"; give one of standard, automa, autonoma",
        ),
        (
            "POSTRIDER_DANGER_ALLOW_NETWORKS",
            "10.1.2.3/8",
            "danger_allow_networks (POSTRIDER_DANGER_ALLOW_NETWORKS): \"10.1.2.3/8\" is no network; the address has bits beyond the prefix; write 10.0.0.0/8",
        ),
        (
            "POSTRIDER_DANGER_ALLOW_NETWORKS",
            "10.0.0.0/8, ::/0",
            "danger_allow_networks (POSTRIDER_DANGER_ALLOW_NETWORKS): ::/0 opens every address to tenants; name the networks",
        ),
        (
            "POSTRIDER_ALLOW_HTTP",
            "yes",
            "allow_http (POSTRIDER_ALLOW_HTTP): \"yes\" is neither; give true or false",
        ),
        (
            "POSTRIDER_LOG_FORMAT",
            "xml",
            "log_format (POSTRIDER_LOG_FORMAT): \"xml\" is unknown; give one of pretty, json, text",
        ),
        (
            "POSTRIDER_LOG_LEVEL",
            "loud",
            "log_level (POSTRIDER_LOG_LEVEL): \"loud\" is unknown; give one of error, warn, info, debug, trace",
        ),
        (
            "POSTRIDER_ATTEMPT_TIMEOUT_SECONDS",
            "31",
            "attempt_timeout_seconds (POSTRIDER_ATTEMPT_TIMEOUT_SECONDS): \"31\" is out of range; give a whole number from 1 to 30",
        ),
        (
            "POSTRIDER_BODY_LIMIT_BYTES",
            "1MiB",
            "body_limit_bytes (POSTRIDER_BODY_LIMIT_BYTES): \"1MiB\" is out of range; give a whole number from 1024 to 16777216",
        ),
        (
            "POSTRIDER_LISTEN",
            "0.0.0.0:80",
            "listen (POSTRIDER_LISTEN): other machines reach 0.0.0.0:80, and keys would cross the network unencrypted; set public_url to the https:// address",
        ),
    ] {
        let text = refusal(&[], &[(name, value)], "");
        assert!(text.starts_with(expected), "{name}={value}: {text}");
    }
}

#[test]
fn unsafe_combinations_are_refused() {
    let open = ("listen", "0.0.0.0:80");
    let text = refusal(&[open, ("dev", "true"), ("public_url", "https://a")], &[], "");
    assert_eq!(
        text,
        "listen (--listen): --dev on 0.0.0.0:80 would open a server without guards to other \
         machines; listen on 127.0.0.1, or leave --dev out"
    );
    let text = refusal(&[open, ("public_url", "http://a")], &[], "");
    assert!(text.starts_with("public_url (--public-url): other machines reach"), "{text}");
    config(&[open, ("public_url", "https://hooks.example.com")], &[], "").unwrap();
    config(&[("listen", "[::ffff:127.0.0.1]:0")], &[], "").unwrap();

    let both = format!("sealing_key = '{SEALING}'\nold_sealing_keys = ['{SEALING}']");
    let text = refusal(&[], &[], &both);
    assert!(text.starts_with("old_sealing_keys (file): holds the current sealing_key;"), "{text}");
}

#[test]
fn a_file_that_others_can_read_may_hold_no_key() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "sealing_key = '{SEALING}'").unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let flags = BTreeMap::from([("config", file.path().to_str().unwrap().to_owned())]);
    let text = Sources::read(flags, []).unwrap_err().to_string();
    assert!(text.contains("holds sealing_key and is open to every user"), "{text}");
    assert!(text.ends_with("chmod 600 the file, or give the key as a variable"), "{text}");
}

#[test]
fn no_refusal_repeats_a_key() {
    for file in [
        "admin_key = 'tell-nobody'",
        "sealing_key = 'tell-nobody'",
        "old_sealing_keys = ['tell-nobody']",
        "admin_key = 'tell-nobody",
    ] {
        let text = refusal(&[], &[], file);
        assert!(!text.contains("nobody"), "{text}");
    }
    let config =
        config(&[], &[("POSTRIDER_ADMIN_KEY", "tell-nobody-tell-nobody-tell")], "").unwrap();
    assert!(!format!("{config:?}").contains("nobody"));
}

#[test]
fn variables_of_an_orchestrator_are_not_ours() {
    let variables = [
        ("POSTRIDER_SERVICE_HOST", "10.0.0.1"),
        ("POSTRIDER_SERVICE_PORT_HTTP", "80"),
        ("POSTRIDER_PORT", "tcp://10.0.0.1:80"),
        ("POSTRIDER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("POSTRIDER_URL", "http://127.0.0.1:1"),
        ("HOME", "/"),
    ];
    config(&[], &variables, "").unwrap();
    assert!(config(&[], &[("POSTRIDER_PORT", "80")], "").is_err());
}

#[test]
fn a_brand_changes_what_it_names_and_keeps_the_rest_of_its_base() {
    let file = "default_profile = 'acme'\n[profiles.acme]\nbase = 'autonoma'\nbody_form = 'jcs'\n\
                header_prefix = 'Acme-'\nsecret_prefix = 'acme_'\nhex_header = 'X-Acme-Sum'\n\
                server_host_header = 'x-acme-host'\nretry_seconds = [0, 5]\nretry_jitter_percent = 0\n\
                [profiles.beta]\nbase = 'automa'";
    let config = config(&[], &[], file).unwrap();
    assert_eq!(config.default_profile, "acme");
    let [acme, beta] = &config.profiles[..] else { panic!("two profiles") };
    assert_eq!(acme.name(), "acme");
    assert_eq!(acme.signing.body_form, BodyForm::Jcs);
    assert_eq!(acme.signing.list_headers, ListHeaders::with_prefix("acme-"));
    assert_eq!(acme.signing.secret_format.prefix, "acme_");
    let hex = acme.signing.hex_header.as_ref().unwrap();
    assert_eq!((&*hex.name, &*hex.value_prefix), ("x-acme-sum", "sha256="));
    assert_eq!(acme.schedule, RetrySchedule::list(&[0, 5_000], Jitter::None).unwrap());
    assert_eq!(beta.schedule, RetrySchedule::automa());
    assert_eq!(beta.signing, SigningProfile { name: "beta".into(), ..SigningProfile::automa() });
}

#[test]
fn refusals_of_profiles_name_the_setting_and_the_mend() {
    for (lines, expected) in [
        (
            "bodyform = 'jcs'",
            "profiles.acme.bodyform (file): no such setting; did you mean body_form?",
        ),
        (
            "base = 'acme'",
            "profiles.acme.base (file): no profile is named \"acme\"; give one of standard, automa, autonoma",
        ),
        (
            "body_form = 'xml'",
            "profiles.acme.body_form (file): \"xml\" is unknown; give one of verbatim, ecma, jcs",
        ),
        (
            "header_prefix = 'a b'",
            "profiles.acme.header_prefix (file): \"a bid\" is no header name; use letters",
        ),
        (
            "hex_header = 'Content-MD5'",
            "profiles.acme.hex_header (file): the header content-md5 belongs to HTTP itself; choose a name of your own",
        ),
        (
            "hex_header = 'webhook-id'",
            "profiles.acme (file): the header webhook-id has two meanings; name hex_header",
        ),
        (
            "hex_value_prefix = 'x='",
            "profiles.acme.hex_value_prefix (file): there is no hex_header; set hex_header too",
        ),
        (
            "secret_prefix = ''",
            "profiles.acme.secret_prefix (file): \"\" can't begin a secret; use 1 to 32",
        ),
        (
            "retry_seconds = []",
            "profiles.acme.retry_seconds (file): a retry schedule needs at least one attempt",
        ),
        (
            "retry_seconds = [0, -1]",
            "profiles.acme.retry_seconds (file): a delay of a retry schedule cannot be negative",
        ),
        (
            "retry_seconds = '5m'",
            "profiles.acme.retry_seconds (file): not a list of seconds; write 1 to 100 whole seconds, such as [0, 5, 300]",
        ),
        (
            "retry_jitter_percent = 3",
            "profiles.acme.retry_jitter_percent (file): there is no retry_seconds; set retry_seconds too",
        ),
    ] {
        let text = refusal(&[], &[], &format!("[profiles.acme]\n{lines}"));
        assert!(text.starts_with(expected), "{lines}: {text}");
    }
    let text = refusal(&[], &[], "[profiles.standard]");
    assert_eq!(
        text,
        "profiles.standard (file): a built-in profile can't be changed; choose another name"
    );
    let text = refusal(&[], &[], "[profiles.Acme]");
    assert!(
        text.starts_with("profiles.Acme (file): not a profile's name; name it with a-z first"),
        "{text}"
    );
}

#[test]
fn the_dashboard_takes_a_brand() {
    let logo = tempfile::NamedTempFile::with_suffix(".svg").unwrap();
    std::fs::write(logo.path(), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
    let file = format!(
        "dashboard_name = 'Acme'\ndashboard_accent = '#0a7a4b'\ndashboard_logo = '{}'\n\
         dashboard_embed_origins = ['https://App.example.com', 'http://localhost:3000/']",
        logo.path().display(),
    );
    let look = config(&[], &[], &file).unwrap().look;
    assert_eq!((&*look.name, look.accent.to_string()), ("Acme", "#0a7a4b".to_owned()));
    assert!(look.logo.is_some());
    assert_eq!(look.embed_origins, ["https://app.example.com", "http://localhost:3000"]);
}

#[test]
fn a_wrong_brand_is_refused_with_the_mend() {
    for (file, expected) in [
        (
            "dashboard_name = '  '",
            "dashboard_name (file): is empty, too long or holds control characters; \
             give 1 to 60 characters",
        ),
        (
            "dashboard_accent = 'blue'",
            "dashboard_accent (file): \"blue\" is no colour; give one such as #4f46e5",
        ),
        (
            "dashboard_embed_origins = ['https://*.example.com']",
            "dashboard_embed_origins (file): \"https://*.example.com\" is no origin; \
             give scheme, host and perhaps a port, such as https://app.example.com",
        ),
        (
            "dashboard_embed_origins = [\"https://a.example/; script-src *\"]",
            "dashboard_embed_origins (file): \"https://a.example/; script-src *\" is no origin; \
             give scheme, host and perhaps a port, such as https://app.example.com",
        ),
    ] {
        assert_eq!(refusal(&[], &[], file), expected);
    }
    let missing = refusal(&[], &[], "dashboard_logo = '/nowhere/logo.png'");
    assert!(missing.contains("/nowhere/logo.png: it can't be read"), "{missing}");
}
