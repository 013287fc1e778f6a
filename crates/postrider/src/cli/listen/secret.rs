//! The secret of a listener, which stays the same in every run against a server: receivers under
//! development are configured once.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::context::user_directory;
use crate::cli::failure::Failure;
use crate::cli::input::escaped;
use crate::cli::output::printable;
use crate::cli::server::Server;
use crate::config::keys::{read_private, replace_private};

/// In the user's directory.
const DIRECTORY: &str = "listen";

/// What a listener is registered with.
pub(super) struct Kept {
    pub(super) secret: Option<String>,
    pub(super) profile: Option<String>,
    /// Where it is kept; `None` when it was given, or when there is no place.
    file: Option<PathBuf>,
}

#[derive(Deserialize, Serialize)]
struct InFile {
    profile: String,
    secret: String,
}

impl Kept {
    /// One that was given is not kept.
    pub(super) fn given(secret: String, profile: Option<String>) -> Self {
        Self { secret: Some(secret), profile, file: None }
    }

    /// The one of an earlier run against this server, tenant and profile, if there was one.
    pub(super) fn load(server: &Server, profile: Option<&str>) -> Result<Self, Failure> {
        let file = user_directory().map(|directory| {
            let parts = [
                &*server.base.authority,
                server.tenant.as_deref().unwrap_or(""),
                profile.unwrap_or(""),
            ];
            // what is escaped holds no `+`, so no two of them have one name
            directory.join(DIRECTORY).join(parts.map(escaped).join("+"))
        });
        let text = match &file {
            Some(file) => read_private(file).map_err(|error| unusable(&error))?,
            None => None,
        };
        let before = text.and_then(|text| serde_json::from_str::<InFile>(&text).ok());
        let given = profile.map(str::to_owned);
        Ok(match before {
            Some(InFile { profile, secret }) => {
                Self { secret: Some(secret), profile: given.or(Some(profile)), file }
            }
            None => Self { secret: None, profile: given, file },
        })
    }

    /// Keeps what the server made, for its next connection and for the next run.
    pub(super) fn keep(&mut self, webhook: &Value) -> Result<(), Failure> {
        let text = |name| webhook.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(secret), Some(profile)) = (text("secret"), text("profile")) else {
            return Ok(());
        };
        if self.secret.as_deref() == Some(&secret) {
            return Ok(());
        }
        if let Some(file) = &self.file {
            let directory = file.parent().unwrap_or(file);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| unusable(&format_args!("{}: {error}", directory.display())))?;
            let text =
                serde_json::json!(InFile { profile: profile.clone(), secret: secret.clone() });
            replace_private(file, &text.to_string()).map_err(|error| unusable(&error))?;
        }
        (self.secret, self.profile) = (Some(secret), Some(profile));
        Ok(())
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Failure {
    Failure::other(format!("the secret can't be kept: {}", printable(&why.to_string())))
        .hint("mend that, or give --secret")
}
