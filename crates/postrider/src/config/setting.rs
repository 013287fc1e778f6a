//! The one table of settings: their names, defaults, and how else they can be given.

/// A setting of the server. Its variable is `POSTRIDER_` and the name in capitals, its flag `--`
/// and the name with dashes.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As in the file.
    pub name: &'static str,
    /// What counts when it isn't given, in the words of the file; `None`: nothing, or what `help`
    /// says.
    pub default: Option<&'static str>,
    /// Keys have no flag: other users of a machine can read flags.
    pub has_flag: bool,
    pub help: &'static str,
}

/// Every setting but the tables `[profiles.NAME]`.
pub const SETTINGS: &[Setting] = &[
    flag(
        "dev",
        Some("false"),
        "Try Postrider on this machine: loopback receivers, a kept admin key, /dev/inbox",
    ),
    flag("listen", Some("127.0.0.1:8080"), "IP address and port to listen on"),
    flag("data_dir", Some("./postrider-data"), "Directory of the data and the keys"),
    flag(
        "public_url",
        None,
        "Where the server is reached from outside; http:// and the listening address unless given",
    ),
    key(
        "admin_key",
        "The bootstrap admin key, at least 24 characters; made at the first start unless given",
    ),
    key(
        "sealing_key",
        "Seals secrets at rest: Base64 of 32 bytes; a file in the data directory unless given",
    ),
    key("old_sealing_keys", "Sealing keys that only open what they sealed, for rotation"),
    flag(
        "default_profile",
        Some("standard"),
        "Profile of webhooks that name none and give no secret",
    ),
    flag(
        "danger_allow_networks",
        None,
        "Networks that may be dialled although they are not public, separated by commas; loopback with --dev",
    ),
    flag("allow_http", None, "Whether http:// receivers are allowed: false, or true with --dev"),
    flag("body_limit_bytes", Some("1048576"), "Largest request to the API, 1024 to 16777216"),
    flag("retention_days", Some("30"), "How long events and attempts are kept, 1 to 3650"),
    flag("log_format", None, "pretty, json or text; text, or pretty with --dev, unless given"),
    flag("log_level", Some("info"), "error, warn, info, debug or trace"),
    flag("drain_seconds", Some("20"), "How long a stop waits for attempts in flight, 0 to 300"),
    flag("attempt_timeout_seconds", Some("15"), "Deadline of an attempt, 1 to 30"),
    flag("webhooks_per_tenant_max", Some("10000"), "Most webhooks of one tenant, 1 to 1000000"),
    flag(
        "disable_failing_after_s",
        Some("432000"),
        "Seconds without a success after which a failing webhook is disabled, 0 (never) to 31536000",
    ),
    flag(
        "report_failures_in_a_row",
        Some("5"),
        "At which failure in a row postrider.webhook.failing is published, 1 to 1000",
    ),
    flag("dashboard_name", Some("Postrider"), "Name on the dashboard, at most 60 characters"),
    flag(
        "dashboard_logo",
        None,
        "Picture on the dashboard: PNG, JPEG, WebP or SVG, at most 128 KiB",
    ),
    flag("dashboard_accent", Some("#4f46e5"), "Colour of the dashboard, #rrggbb"),
    flag(
        "dashboard_embed_origins",
        None,
        "Sites that may show portal links in a frame, such as https://app.example.com; separated by commas",
    ),
    flag("metrics", Some("admin"), "Who may read /metrics: admin, with an admin key, or open"),
    flag(
        "unknown_event_types",
        Some("refuse"),
        "What is done with events whose type is in no catalogue: refuse or accept",
    ),
];

/// Variables of ours that are no settings of the server: the client's, and the file's.
pub(super) const OTHER_VARIABLES: &[&str] = &[
    "POSTRIDER_CONFIG",
    "POSTRIDER_URL",
    "POSTRIDER_CONTEXT",
    "POSTRIDER_OUTPUT",
    "POSTRIDER_API_KEY",
    "POSTRIDER_TENANT",
    "POSTRIDER_CA_FILE",
];

impl Setting {
    pub fn variable(&self) -> String {
        format!("POSTRIDER_{}", self.name.to_ascii_uppercase())
    }

    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }
}

/// The setting of a name that is in the table.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn flag(name: &'static str, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting { name, default, has_flag: true, help }
}

const fn key(name: &'static str, help: &'static str) -> Setting {
    Setting { name, default: None, has_flag: false, help }
}
