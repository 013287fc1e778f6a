//! Contexts: servers by name, kept in `$XDG_CONFIG_HOME/postrider/config.toml`.
//!
//! A context's key goes to the context's own address and nowhere else. What can't be meant, such as
//! a name that is not known, is refused with the name that probably was.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use toml::{Table, Value};

use super::failure::Failure;
use super::output::{Output, items, printable, table_of};
use super::server::BaseUrl;
use crate::config::keys::read_private;
use crate::config::nearest::nearest;

/// Most bytes of the file; a thousand contexts need less.
const FILE_BYTES_MAX: u64 = 1 << 20;
const CONTEXT_KEYS: [&str; 5] = ["url", "api_key", "api_key_file", "tenant", "ca_file"];

#[derive(Subcommand)]
pub(super) enum ContextCommand {
    /// List the contexts of the configuration file
    List {
        /// table: for people; json, ndjson: for programs
        #[arg(
            long,
            value_enum,
            default_value_t,
            value_name = "FORMAT",
            env = "POSTRIDER_OUTPUT",
            hide_env_values = true
        )]
        output: Output,
    },
}

/// The contexts of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Contexts {
    /// Where they are kept, there or not; `None` without a home directory.
    pub(super) file: Option<PathBuf>,
    default: Option<String>,
    by_name: BTreeMap<String, Context>,
}

/// A server by name.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) base: BaseUrl,
    api_key: ApiKey,
    pub(super) tenant: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Clone)]
enum ApiKey {
    None,
    Here(String),
    File(PathBuf),
}

pub(super) fn run(command: &ContextCommand) -> Result<(), Failure> {
    let ContextCommand::List { output } = command;
    let contexts = Contexts::load()?;
    let listed = contexts.by_name.iter().map(|(name, context)| {
        json!({
            "name": name,
            "url": context.base.to_string(),
            "tenant": context.tenant,
            "is_default": contexts.default.as_ref() == Some(name),
        })
    });
    let list = json!({ "data": listed.collect::<Vec<_>>() });
    output.print_value(&list, |list| match &contexts.file {
        Some(file) if items(list, "data").is_empty() => {
            format!("no contexts; write them into {}\n", printable(&file.to_string_lossy()))
        }
        _ => table_of(items(list, "data"), &["name", "url", "tenant", "is_default"]),
    })
}

/// The directory of what the command line keeps for its user.
pub(super) fn user_directory() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    // the specification of XDG wants relative ones ignored
    let given = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = || variable("HOME").filter(|path| path.is_absolute());
    Some(given.or_else(|| Some(home()?.join(".config")))?.join("postrider"))
}

impl Contexts {
    /// Those of this user; none when there is no file.
    pub(super) fn load() -> Result<Self, Failure> {
        match user_directory() {
            Some(directory) => Self::read(&directory.join("config.toml")),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let named = || printable(&path.to_string_lossy());
        let refuse = |problem: String, mend: &str| {
            Failure::usage(format!("{}: {problem}", named())).hint(mend)
        };
        let Some((text, mode)) = read_file(path).map_err(|error| {
            refuse(format!("cannot be read ({error})"), "make it a file that you can read")
        })?
        else {
            return Ok(Self { file: Some(path.to_owned()), ..Self::default() });
        };
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // the error's own `Display` quotes the line, which may hold a key
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let what = error.message().lines().next().unwrap_or("not TOML");
            refuse(format!("line {line}: {}", printable(what)), "mend the TOML there")
        })?;
        let contexts =
            from_table(&table, path).map_err(|(problem, mend)| refuse(problem, &mend))?;
        let holds_key = |context: &Context| matches!(context.api_key, ApiKey::Here(_));
        if mode & 0o077 != 0 && contexts.by_name.values().any(holds_key) {
            let problem =
                format!("holds keys and is open to other users (mode {:o})", mode & 0o777);
            return Err(refuse(problem, "chmod 600 the file"));
        }
        Ok(contexts)
    }

    /// The context of a name that must be there.
    pub(super) fn named(&self, name: &str) -> Result<&Context, Failure> {
        self.by_name.get(name).ok_or_else(|| {
            let known = self.by_name.keys().map(String::as_str);
            let hint = match (nearest(name, known), &self.file) {
                (Some(near), _) => format!("did you mean {}?", printable(near)),
                (None, Some(file)) => {
                    format!("add [contexts.NAME] to {}", printable(&file.to_string_lossy()))
                }
                (None, None) => "set HOME or XDG_CONFIG_HOME to where contexts are kept".to_owned(),
            };
            Failure::usage(format!("there is no context {}", printable(name))).hint(hint)
        })
    }

    /// The name of the context that counts when none is chosen.
    pub(super) fn default_name(&self) -> Option<&str> {
        self.default.as_deref()
    }
}

impl Context {
    pub(super) fn api_key(&self) -> Result<Option<String>, Failure> {
        match &self.api_key {
            ApiKey::None => Ok(None),
            ApiKey::Here(key) => Ok(Some(key.clone())),
            ApiKey::File(path) => {
                let text = read_private(path).map_err(|error| {
                    Failure::usage(printable(&error.to_string()))
                        .hint("the context names it as its api_key_file")
                })?;
                let missing = || {
                    let named = printable(&path.to_string_lossy());
                    Failure::usage(format!("{named} is not there"))
                        .hint("put the key into the context's api_key_file, and chmod 600 it")
                };
                text.map(|text| Some(text.trim().to_owned())).ok_or_else(missing)
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What is wrong, and how to mend it.
type Fault = (String, String);

fn from_table(table: &Table, path: &Path) -> Result<Contexts, Fault> {
    refuse_unknown(table, "", &["default_context", "contexts"])?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut by_name = BTreeMap::new();
    match table.get("contexts") {
        None => {}
        Some(Value::Table(tables)) => {
            for (name, value) in tables {
                let place = format!("contexts.{}", printable(name));
                let Value::Table(table) = value else {
                    return Err((format!("{place} is no table"), format!("write [{place}]")));
                };
                by_name.insert(name.clone(), context(table, &place, directory)?);
            }
        }
        Some(_) => {
            return Err(("contexts is no table".to_owned(), "write [contexts.NAME]".to_owned()));
        }
    }
    let default = text(table, "", "default_context")?;
    if let Some(name) = default.as_ref().filter(|name| !by_name.contains_key(*name)) {
        let known = by_name.keys().map(String::as_str);
        let mend = nearest(name, known).map_or_else(
            || "name one that is in the file".to_owned(),
            |near| format!("did you mean {}?", printable(near)),
        );
        return Err((format!("default_context: there is no context {}", printable(name)), mend));
    }
    Ok(Contexts { file: Some(path.to_owned()), default, by_name })
}

fn context(table: &Table, place: &str, directory: &Path) -> Result<Context, Fault> {
    refuse_unknown(table, place, &CONTEXT_KEYS)?;
    let url = text(table, place, "url")?;
    let base = url.as_deref().and_then(BaseUrl::parse).ok_or_else(|| {
        let problem = if url.is_some() { "is no address of a server" } else { "is missing" };
        let mend = "write url = \"https://host\" or \"http://host:port\"";
        (format!("{place}.url {problem}"), mend.to_owned())
    })?;
    let key = text(table, place, "api_key")?;
    let key_file = text(table, place, "api_key_file")?;
    let api_key = match (key, key_file) {
        (None, None) => ApiKey::None,
        (Some(key), None) => ApiKey::Here(key),
        (None, Some(file)) => ApiKey::File(directory.join(file)),
        (Some(_), Some(_)) => {
            let problem = format!("{place} has both api_key and api_key_file");
            return Err((problem, "keep one of them".to_owned()));
        }
    };
    Ok(Context {
        base,
        api_key,
        tenant: text(table, place, "tenant")?,
        ca_file: text(table, place, "ca_file")?.map(|file| directory.join(file)),
    })
}

fn refuse_unknown(table: &Table, place: &str, known: &[&str]) -> Result<(), Fault> {
    let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let mend = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("remove it; there are {}", known.join(", ")),
    };
    Err((format!("{} is not known", member(place, &printable(key))), mend))
}

fn text(table: &Table, place: &str, key: &str) -> Result<Option<String>, Fault> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => {
            let problem = format!("{} is no text", member(place, key));
            Err((problem, "write it in quotes, and not empty".to_owned()))
        }
    }
}

fn member(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

/// The text and the mode of a file; `None` when there is none.
fn read_file(path: &Path) -> std::io::Result<Option<(String, u32)>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some((text, mode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Contexts, Fault> {
        from_table(&text.parse().unwrap(), Path::new("/home/me/.config/postrider/config.toml"))
    }

    #[test]
    fn a_context_has_an_address_a_key_and_a_tenant() {
        let text = "default_context = 'prod'\n[contexts.prod]\nurl = 'https://a.example'\n\
                    api_key_file = 'prod.key'\ntenant = 'acme'\n[contexts.dev]\nurl = 'http://[::1]:1'";
        let contexts = read(text).unwrap();
        assert_eq!(contexts.default_name(), Some("prod"));
        let prod = contexts.named("prod").unwrap();
        assert_eq!(
            (prod.base.to_string().as_str(), prod.tenant.as_deref()),
            ("https://a.example", Some("acme"))
        );
        let ApiKey::File(file) = &prod.api_key else { panic!("the key is in a file") };
        assert_eq!(file, Path::new("/home/me/.config/postrider/prod.key"));
        assert_eq!(contexts.named("dev").unwrap().api_key().unwrap(), None);
    }

    #[test]
    fn a_slip_is_refused_with_what_was_probably_meant() {
        for (text, problem, mend) in [
            (
                "defaultcontext = 'a'",
                "defaultcontext is not known",
                "did you mean default_context?",
            ),
            (
                "[contexts.a]\nurl='http://a'\ntennant='x'",
                "contexts.a.tennant is not known",
                "did you mean tenant?",
            ),
            ("[contexts.a]", "contexts.a.url is missing", "write url = "),
            ("[contexts.a]\nurl='ftp://a'", "contexts.a.url is no address", "write url = "),
            ("[contexts.a]\nurl=1", "contexts.a.url is no text", "in quotes"),
            ("contexts = 1", "contexts is no table", "[contexts.NAME]"),
            ("[contexts]\na = 1", "contexts.a is no table", "[contexts.a]"),
            (
                "default_context='prd'\n[contexts.prod]\nurl='http://a'",
                "there is no context prd",
                "did you mean prod?",
            ),
            (
                "[contexts.a]\nurl='http://a'\napi_key='x'\napi_key_file='y'",
                "both api_key and",
                "keep one",
            ),
        ] {
            let (told, hint) = read(text).unwrap_err();
            assert!(told.contains(problem) && hint.contains(mend), "{text}: {told}; {hint}");
        }
    }

    #[test]
    fn keys_do_not_show() {
        let contexts = read("[contexts.a]\nurl='http://a'\napi_key='tell-nobody'").unwrap();
        assert!(!format!("{contexts:?}").contains("tell-nobody"));
    }
}
