//! What a server says to whoever started it, once it takes requests.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{AdminKey, Config, Keys};
use crate::dashboard::{LINK_SECONDS, PortalLink, portal_link};
use crate::dev;
use crate::dev::banner::Banner;
use crate::engine::{DEFAULT_TENANT, Engine};
use crate::serve::Started;

/// What there is to say, gathered while configuration and keys are at hand.
#[derive(Debug)]
pub struct Greeting {
    is_dev: bool,
    bound: SocketAddr,
    data_dir: PathBuf,
    admin_key: Option<AdminKey>,
}

impl Greeting {
    pub fn new(config: &Config, keys: &Keys, bound: SocketAddr) -> Self {
        Self {
            is_dev: config.is_dev,
            bound,
            data_dir: config.data_dir.clone(),
            admin_key: keys.admin.clone(),
        }
    }

    /// With `--dev` the banner, and the address where the command line looks for it; otherwise
    /// the admin key that this start made, which is shown here and nowhere else.
    pub fn tell(&self, started: &Started) {
        tracing::info!(address = %self.bound, "listening at {}", started.public_url);
        let text = match &self.admin_key {
            Some(key) if self.is_dev => self.banner(key, &started.engine).to_string(),
            _ => match &started.made_admin_key {
                Some(key) => format!("Admin key, shown this once: {key}\n"),
                None => return,
            },
        };
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            tracing::warn!(%error, "what there is to know could not be printed");
        }
    }

    /// The server has ended: nobody is to look for it any more.
    pub fn end(&self) {
        if self.is_dev {
            dev::withdraw(&self.data_dir);
        }
    }

    fn banner(&self, admin_key: &AdminKey, engine: &Engine) -> Banner {
        if let Err(error) = dev::announce(&self.data_dir, self.bound) {
            tracing::warn!(%error, "the command line will not find this server by itself");
        }
        let absolute = self.data_dir.canonicalize();
        Banner {
            bound: self.bound,
            dashboard: dashboard(engine),
            admin_key: admin_key.expose().to_owned(),
            data_dir: absolute.unwrap_or_else(|_| self.data_dir.clone()),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("postrider")),
        }
    }
}

/// A link that opens the dashboard of the tenant that requests without one belong to; without a
/// link it asks for the key.
fn dashboard(engine: &Engine) -> String {
    let link = engine.tenant(DEFAULT_TENANT).and_then(|tenant| {
        let expires_at = engine.now() + LINK_SECONDS.end() * 1_000;
        portal_link(engine, PortalLink::new(tenant.key, false, expires_at))
    });
    link.unwrap_or_else(|| format!("{}/dashboard", engine.public_url()))
}
