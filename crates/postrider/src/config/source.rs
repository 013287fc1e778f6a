//! Where settings come from, and which of several values counts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::setting::{OTHER_VARIABLES, SETTINGS, setting};
use super::value::{Given, Value};
use super::{ConfigError, Origin, Profile, profile};

/// Most bytes of a configuration file; a hundred profiles need less than a tenth.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What stands for the value of a key.
const HIDDEN: &str = "***";

/// A setting as it counts.
#[derive(Clone, Debug)]
pub struct Settled {
    pub name: &'static str,
    /// In the words of the file; `None` where the help says what counts. A key's is hidden.
    pub value: Option<String>,
    pub origin: Origin,
}

/// Everything that was given, by source.
#[derive(Clone, Default)]
pub struct Sources {
    flags: BTreeMap<&'static str, Value>,
    variables: BTreeMap<String, Value>,
    file: Option<(PathBuf, BTreeMap<String, Value>)>,
}

impl Sources {
    /// Flags by setting name, the `POSTRIDER_*` among `variables`, and the file named by the flag
    /// `config` or by `POSTRIDER_CONFIG`.
    pub fn read(
        mut flags: BTreeMap<&'static str, String>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let flag_path = flags.remove("config").map(PathBuf::from);
        let variables = ours(variables)?;
        let path = flag_path.or_else(|| match variables.get("POSTRIDER_CONFIG") {
            Some(Value::Text(path)) => Some(PathBuf::from(path)),
            _ => None,
        });
        let file = match path {
            Some(path) => Some((path.clone(), read_file(&path)?)),
            None => None,
        };
        let flags = flags.into_iter().map(|(name, text)| (name, Value::Text(text))).collect();
        Ok(Self { flags, variables, file })
    }

    /// The value that counts, if any was given.
    pub(super) fn given(&self, name: &'static str) -> Option<Given<'_>> {
        let setting = setting(name)?;
        let in_file = || {
            let (path, values) = self.file.as_ref()?;
            Some(Given::new(name, Origin::File(path.clone()), values.get(name)?))
        };
        let variable = setting.variable();
        let as_variable = || {
            let value = self.variables.get(&variable)?;
            Some(Given::new(name, Origin::Variable(variable.clone()), value))
        };
        let as_flag =
            || Some(Given::new(name, Origin::Flag(setting.flag()), self.flags.get(name)?));
        as_flag().or_else(as_variable).or_else(in_file)
    }

    /// What each setting is and where that comes from, in the order of the table.
    pub fn settled(&self) -> impl Iterator<Item = Settled> {
        SETTINGS.iter().map(|setting| {
            let given = self.given(setting.name);
            let default = || setting.default.map(str::to_owned);
            let shown = |given: &Given<'_>| {
                if setting.has_flag { given.shown() } else { HIDDEN.to_owned() }
            };
            Settled {
                name: setting.name,
                value: given.as_ref().map(shown).or_else(default),
                origin: self.origin(setting.name),
            }
        })
    }

    /// Where the value of a setting comes from.
    pub(super) fn origin(&self, name: &'static str) -> Origin {
        self.given(name).map_or(Origin::Default, |given| given.origin)
    }

    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&Given<'_>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        self.given(name).as_ref().map(parse).transpose()
    }

    /// The value given, or the table's default, read alike.
    pub(super) fn or_default<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&Given<'_>) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let default = setting(name).and_then(|setting| setting.default).unwrap_or_default();
        let default = Value::Text(default.to_owned());
        parse(&self.given(name).unwrap_or(Given::new(name, Origin::Default, &default)))
    }

    /// The tables `[profiles.NAME]`, which only a file can hold.
    pub(super) fn profiles(&self) -> Result<Vec<Profile>, ConfigError> {
        match &self.file {
            Some((path, values)) => profile::read_all(path, values.get("profiles")),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let names = || SETTINGS.iter().map(|setting| setting.name);
        if let Some((path, values)) = &self.file {
            let unknown =
                values.keys().find(|key| *key != "profiles" && !names().any(|name| name == *key));
            if let Some(key) = unknown {
                let near = nearest(key, names().chain(["profiles"]));
                return Err(unknown_name(key, Origin::File(path.clone()), near));
            }
        }
        let variables: Vec<String> = SETTINGS.iter().map(super::Setting::variable).collect();
        let known = || variables.iter().map(String::as_str).chain(OTHER_VARIABLES.iter().copied());
        match self.variables.keys().find(|key| !known().any(|name| name == *key)) {
            Some(key) => {
                Err(unknown_name(key, Origin::Variable(key.clone()), nearest(key, known())))
            }
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Sources {
    /// Names only: among the values are keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("flags", &self.flags.keys())
            .field("variables", &self.variables.keys())
            .field("file", &self.file.as_ref().map(|(path, values)| (path, values.keys())))
            .finish()
    }
}

fn unknown_name(name: &str, origin: Origin, near: Option<&str>) -> ConfigError {
    ConfigError {
        setting: name.to_owned(),
        origin,
        problem: "no such setting".to_owned(),
        mend: match near {
            Some(near) => format!("did you mean {near}?"),
            None => "remove it; `postrider serve --help` lists the settings".to_owned(),
        },
    }
}

/// The variables that begin with our prefix.
fn ours(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, Value>, ConfigError> {
    let mut found = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("POSTRIDER_")) else {
            continue;
        };
        let refuse = |problem: &str, mend: &str| ConfigError {
            setting: name.to_owned(),
            origin: Origin::Variable(name.to_owned()),
            problem: problem.to_owned(),
            mend: mend.to_owned(),
        };
        let value = value.into_string().map_err(|_| refuse("is not UTF-8", "write it in UTF-8"))?;
        if is_from_orchestrator(name, &value) {
            continue;
        }
        // an empty variable is usually one that something failed to fill in, such as a key
        if value.is_empty() {
            return Err(refuse("is empty", "unset it or give it a value"));
        }
        found.insert(name.to_owned(), Value::Text(value));
    }
    Ok(found)
}

/// Kubernetes and Docker links put the addresses of a service named `postrider…` into variables
/// that look like ours: `POSTRIDER_SERVICE_HOST`, `POSTRIDER_PORT=tcp://…`, `POSTRIDER_PORT_80_TCP…`.
fn is_from_orchestrator(name: &str, value: &str) -> bool {
    let is_address = value.starts_with("tcp://") || value.starts_with("udp://");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_address)
        || (name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP")))
}

fn read_file(path: &Path) -> Result<BTreeMap<String, Value>, ConfigError> {
    let refuse = |problem: String, mend: &str| ConfigError {
        setting: "config".to_owned(),
        origin: Origin::File(path.to_owned()),
        problem,
        mend: mend.to_owned(),
    };
    let unreadable = |error: std::io::Error| {
        refuse(format!("cannot be read ({error})"), "name a readable TOML file with --config")
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse("is longer than 1 MiB".to_owned(), "name a smaller TOML file"));
    }
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // the error's own `Display` quotes the line, which may hold a key
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let what = error.message().lines().next().unwrap_or("not TOML");
        refuse(format!("line {line}: {what}"), "mend the TOML there")
    })?;
    let key =
        ["admin_key", "sealing_key", "old_sealing_keys"].iter().find(|k| table.contains_key(**k));
    if let Some(key) = key.filter(|_| mode & 0o007 != 0) {
        return Err(refuse(
            format!(
                "holds {key} and is open to every user of this machine (mode {:o})",
                mode & 0o777
            ),
            "chmod 600 the file, or give the key as a variable",
        ));
    }
    Ok(table.into_iter().map(|(name, value)| (name, Value::Toml(value))).collect())
}
