//! Profiles: what a kind of receiver expects, as data.

use std::collections::BTreeMap;
use std::sync::Arc;

use postrider_core::schedule::RetrySchedule;
use postrider_signature::SigningProfile;

/// A named set of wire parameters: body form, signatures, headers, secret format, schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub signing: SigningProfile,
    pub schedule: RetrySchedule,
}

/// The names of the profiles that every server has.
pub const BUILTIN: [&str; 3] = ["standard", "automa", "autonoma"];

impl Profile {
    /// The built-in profile of a name (contract §3).
    pub fn builtin(name: &str) -> Option<Self> {
        let schedule = match name {
            "automa" => RetrySchedule::automa(),
            _ => RetrySchedule::standard(),
        };
        Some(Self { signing: SigningProfile::builtin(name)?, schedule })
    }

    pub fn name(&self) -> &str {
        &self.signing.name
    }
}

/// The profiles of a server: the three built in, and those of its configuration.
#[derive(Clone, Debug)]
pub struct Profiles {
    by_name: BTreeMap<String, Arc<Profile>>,
    default: String,
}

impl Profiles {
    /// The built-in profiles and `more`; one of the same name replaces a built-in one.
    /// `None` when there is no profile of the name `default`.
    pub fn new(default: &str, more: Vec<Profile>) -> Option<Self> {
        let builtin = BUILTIN.iter().filter_map(|name| Profile::builtin(name));
        let by_name: BTreeMap<_, _> = builtin
            .chain(more)
            .map(|profile| (profile.name().to_owned(), Arc::new(profile)))
            .collect();
        by_name.contains_key(default).then(|| Self { by_name, default: default.to_owned() })
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.by_name.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Which profile a webhook gets that names none (contract §3): the one whose format its
    /// secret has, or without a secret the server's default.
    pub fn for_secret(&self, secret: Option<&str>) -> &Arc<Profile> {
        let name = secret.map_or(self.default.clone(), |text| {
            SigningProfile::for_secret(text).name.into_owned()
        });
        self.by_name.get(&name).expect("the default and the built-in profiles are there")
    }
}
