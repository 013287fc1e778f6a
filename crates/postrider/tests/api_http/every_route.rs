//! What holds for every route of the document: who may use it, that tenants never see each other,
//! and that bad input is answered as such.
//!
//! The routes come from the document, so one that is added is held to this as well. It only has to
//! be said here how a thing of a new kind is made ([`SEEDS`]).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::{document, good_example, operations};
use crate::support::{ADMIN_KEY, Reply, Server, bearer};

type Seed = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// One thing of each kind, of the tenant `default`: by the part of the path that stands before its
/// id, how it is made, and where its id is in the answer. `{…}` is the id of one made before.
const SEEDS: &[Seed] = &[
    (
        "webhooks",
        "POST",
        "/v1/webhooks",
        r#"{"url":"https://example.com","events":["*"],"rate_limit":1}"#,
        "/id",
    ),
    AN_EVENT,
    ("deliveries", "GET", "/v1/events/{events}/deliveries", "", "/data/0/id"),
    A_REPLAY,
    ("keys", "POST", "/v1/keys", r#"{"scope":"read"}"#, "/id"),
    ("tenants", "POST", "/v1/tenants", r#"{"name":"seeded"}"#, "/name"),
    ("event-types", "POST", "/v1/event-types", r#"{"name":"own.type"}"#, "/name"),
];
const AN_EVENT: Seed =
    ("events", "POST", "/v1/events", r#"{"type":"code.generated","data":1}"#, "/id");
const A_REPLAY: Seed = (
    "replays",
    "POST",
    "/v1/webhooks/{webhooks}/replay",
    r#"{"since":"2020-01-01T00:00:00Z"}"#,
    "/id",
);
/// What routes need, where the document's example is no good request.
const GOOD: &[Good] = &[
    // its example has both members of which one is to be given
    Good {
        route: "POST /v1/filters/test",
        before: &[],
        body: r#"{"filter":"data == 1","event_id":"{events}"}"#,
    },
    // a webhook of the tenant's is to be named
    Good {
        route: "POST /v1/deliveries/retry",
        before: &[],
        body: r#"{"webhook_id":"{webhooks}","states":["failed"]}"#,
    },
    // a secret's form is the profile's
    Good {
        route: "POST /v1/webhooks/{id}/secret/rotate",
        before: &[],
        body: r#"{"overlap_s":60}"#,
    },
    // one that still runs: its webhook takes an event a second
    Good {
        route: "POST /v1/replays/{id}/cancel",
        before: &[AN_EVENT, AN_EVENT, AN_EVENT, A_REPLAY],
        body: "",
    },
];
/// Takes what came over a stream that is open: `listen.rs` shows that it does. Here only that each
/// scope that it allows gets as far as the attempt.
const ANSWERS: &str = "POST /v1/listen/{webhook_id}/answers";
const SCOPES: &[&str] = &["manage", "publish", "read", "admin"];

/// A good request of a route: what is made before, and its body. `{…}` as in [`SEEDS`].
struct Good {
    route: &'static str,
    before: &'static [Seed],
    body: &'static str,
}

/// What stands before an id in a path where it isn't the plural of its kind.
const OTHER_WORDS: &[(&str, &str)] = &[("listen", "webhooks")];
/// Ids that nothing has, by kind, and some that nothing can have.
const UNKNOWN: &[(&str, &str)] = &[
    ("webhooks", "wh_0000000000001"),
    ("events", "evt_0000000000001"),
    ("deliveries", "dlv_00000000000010000000000001"),
    ("replays", "rpl_0000000000001"),
    ("keys", "key_0000000000001"),
    ("tenants", "nobody"),
    ("event-types", "no.such"),
];
const MALFORMED: &[&str] = &["WH_X", "a%20b", "dlv_%00", "%", "%FF", "..%2F..", "é"];

/// Only for admin keys, which belong to no tenant.
const ADMINS: &[&str] = &["/v1/tenants", "/v1/keys"];
/// What a key that reads may not read.
const MANAGERS_ONLY: &[&str] = &["GET /v1/webhooks/{id}/secret"];
const PUBLISHERS: &[&str] = &["POST /v1/events"];
/// Reads, though by POST.
const READERS: &[&str] = &["POST /v1/filters/test"];

/// A route of the document with a good body, and one thing of each kind.
struct World {
    server: Server,
    routes: Vec<Route>,
    ids: BTreeMap<&'static str, String>,
}

struct Route {
    method: String,
    path: String,
    body: String,
    has_body: bool,
    /// Names of query parameters and of members of the body that take an id.
    id_parameters: Vec<String>,
    id_members: Vec<String>,
}

impl World {
    async fn make() -> Self {
        let server = Server::start().await;
        let document = document(&server).await;
        let routes = operations(&document)
            .into_iter()
            .filter(|(path, ..)| path.starts_with("/v1/"))
            .map(|(path, method, operation)| Route::new(&document, path, method, &operation));
        let routes = routes.collect();
        let mut world = Self { server, routes, ids: BTreeMap::new() };
        world.seed(SEEDS).await;
        world
    }

    async fn seed(&mut self, seeds: &[Seed]) {
        for &(kind, method, path, body, place) in seeds {
            let made = self.server.call(method, &self.with_ids(path), body).await;
            assert!(made.status < 300, "{kind}: {made:?}");
            let id = made.json().pointer(place).and_then(Value::as_str).map(str::to_owned);
            self.ids.insert(kind, id.expect("an id in the answer"));
        }
    }

    /// A text with the ids of what was made in the places of their kinds.
    fn with_ids(&self, text: &str) -> String {
        self.ids
            .iter()
            .fold(text.to_owned(), |text, (kind, id)| text.replace(&format!("{{{kind}}}"), id))
    }

    async fn serves_after_preparing(&mut self, index: usize, scope: &str) {
        let name = self.routes[index].name();
        if let Some(good) = GOOD.iter().find(|good| good.route == name) {
            self.seed(good.before).await;
            self.routes[index].body = self.with_ids(good.body);
        }
        self.serves(&self.routes[index], scope).await;
    }

    /// Fails the test unless a good request with a key of this scope succeeds.
    async fn serves(&self, route: &Route, scope: &str) {
        let key = match scope {
            "admin" => ADMIN_KEY.to_owned(),
            _ => self.server.key("default", scope).await,
        };
        let reply = self.call(route, &self.own(route), &bearer(&key)).await;
        let name = route.name();
        let is_served = match name.as_str() {
            ANSWERS => is(&reply, 422, "validation"),
            _ => (200..300).contains(&reply.status),
        };
        assert!(is_served, "{scope} {name} {reply:?}");
    }

    async fn call(&self, route: &Route, path: &str, headers: &str) -> Reply {
        self.server.call_with(&route.method, path, headers, route.body.as_bytes()).await
    }

    /// The route's path with the id of what was made.
    fn own(&self, route: &Route) -> String {
        route.kind().map_or_else(|| route.path.clone(), |kind| route.filled(&self.ids[kind]))
    }

    fn with_id(&self) -> impl Iterator<Item = (&Route, &str)> {
        self.routes.iter().filter_map(|route| route.kind().map(|kind| (route, kind)))
    }
}

impl Route {
    fn new(document: &Value, path: String, method: String, operation: &Value) -> Self {
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        let example = schema.map(|schema| good_example(document, schema));
        let members = example.as_ref().and_then(Value::as_object).into_iter().flatten();
        let id_members = members.map(|(name, _)| name.clone()).filter(|name| is_of_id(name));
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let queries = parameters.filter(|parameter| parameter["in"] == "query");
        let names = queries.filter_map(|parameter| parameter["name"].as_str());
        Self {
            method,
            path,
            has_body: example.is_some(),
            id_members: id_members.collect(),
            id_parameters: names.filter(|name| is_of_id(name)).map(str::to_owned).collect(),
            body: example.map(|example| example.to_string()).unwrap_or_default(),
        }
    }

    /// The good body with another member.
    fn body_with(&self, member: &str, id: &str) -> String {
        let mut body: Value = serde_json::from_str(&self.body).unwrap();
        body[member] = id.into();
        body.to_string()
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The kind of thing whose id is in the path.
    fn kind(&self) -> Option<&'static str> {
        let (before, _) = self.path.split_once("/{")?;
        let word = before.rsplit('/').next().unwrap();
        let other = OTHER_WORDS.iter().find(|(given, _)| *given == word);
        let word = other.map_or(word, |(_, kind)| kind);
        let seed = SEEDS.iter().map(|(kind, ..)| *kind).find(|kind| *kind == word);
        Some(seed.unwrap_or_else(|| panic!("{}: say in SEEDS how one is made", self.path)))
    }

    fn filled(&self, id: &str) -> String {
        let (before, rest) = self.path.split_once('{').unwrap();
        let (_, after) = rest.split_once('}').unwrap();
        format!("{before}{id}{after}")
    }

    fn is_admins(&self) -> bool {
        ADMINS.iter().any(|path| self.path.starts_with(path))
    }

    fn allows(&self, scope: &str) -> bool {
        let name = self.name();
        let is_in = |list: &[&str]| list.contains(&name.as_str());
        match scope {
            "admin" => true,
            _ if self.is_admins() => false,
            "manage" => true,
            "publish" => is_in(PUBLISHERS),
            _ => is_in(READERS) || (self.method == "GET" && !is_in(MANAGERS_ONLY)),
        }
    }
}

fn is_of_id(name: &str) -> bool {
    UNKNOWN.iter().any(|(kind, _)| id_name(kind) == name)
}

/// What an id of a kind is called where it is not in the path.
fn id_name(kind: &str) -> String {
    let one = kind
        .strip_suffix("ies")
        .map_or_else(|| kind[..kind.len() - 1].to_owned(), |stem| format!("{stem}y"));
    format!("{one}_id")
}

fn is(reply: &Reply, status: u16, code: &str) -> bool {
    reply.status == status && reply.code() == code
}

#[tokio::test]
async fn every_route_asks_for_a_key_and_its_scope() {
    let world = World::make().await;
    for scope in SCOPES.iter().filter(|scope| **scope != "admin") {
        let key = bearer(&world.server.key("default", scope).await);
        for route in &world.routes {
            let path = world.own(route);
            let reply = world.call(route, &path, "").await;
            assert!(is(&reply, 401, "unauthenticated"), "{} {reply:?}", route.name());
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            if !route.allows(scope) {
                let reply = world.call(route, &path, &key).await;
                assert!(is(&reply, 403, "forbidden"), "{scope} {} {reply:?}", route.name());
            }
        }
    }
}

#[tokio::test]
async fn every_route_serves_each_scope_that_it_allows() {
    let shared = World::make().await;
    for index in 0..shared.routes.len() {
        let route = &shared.routes[index];
        for scope in SCOPES.iter().filter(|scope| route.allows(scope)) {
            if route.method == "GET" {
                shared.serves(route, scope).await;
                continue;
            }
            // what one request changed must not decide what the next is answered
            let mut own = World::make().await;
            own.serves_after_preparing(index, scope).await;
            own.server.stop();
            own.server.stopped().await;
        }
    }
    let names: Vec<_> = shared.routes.iter().map(Route::name).collect();
    let told = GOOD.iter().map(|good| good.route).chain([ANSWERS]);
    for name in told {
        assert!(names.iter().any(|known| known == name), "{name} is no route any more");
    }
}

#[tokio::test]
async fn every_route_answers_a_foreign_id_as_an_unknown_one() {
    let world = World::make().await;
    let stranger = bearer(&world.server.key("stranger", "manage").await);
    let admin_elsewhere = format!("{}Postrider-Tenant: stranger\r\n", bearer(ADMIN_KEY));
    for (route, kind) in world.with_id().filter(|(route, _)| !route.is_admins()) {
        let unknown = UNKNOWN.iter().find(|(of, _)| *of == kind).unwrap().1;
        for caller in [&stranger, &admin_elsewhere] {
            let expected = world.call(route, &route.filled(unknown), caller).await;
            assert!(is(&expected, 404, "not_found"), "{} {expected:?}", route.name());
            let foreign = world.ids.values().map(String::as_str);
            for id in foreign.chain(MALFORMED.iter().copied()) {
                let reply = world.call(route, &route.filled(id), caller).await;
                assert_eq!(reply.status, 404, "{} {id} {reply:?}", route.name());
                assert_eq!(reply.body, expected.body, "{} {id}", route.name());
            }
        }
    }
    for (route, kind) in world.with_id().filter(|(route, _)| route.is_admins()) {
        let unknown = UNKNOWN.iter().find(|(of, _)| *of == kind).unwrap().1;
        for id in MALFORMED.iter().chain([&unknown]) {
            let reply = world.call(route, &route.filled(id), &bearer(ADMIN_KEY)).await;
            assert!(is(&reply, 404, "not_found"), "{} {id} {reply:?}", route.name());
        }
    }
}

/// An id in a query or a body of another tenant's is answered as one that nothing has.
#[tokio::test]
async fn a_foreign_id_beside_the_path_is_as_good_as_an_unknown_one() {
    let world = World::make().await;
    let stranger = bearer(&world.server.key("stranger", "manage").await);
    for route in world.routes.iter().filter(|route| route.kind().is_none()) {
        for (kind, unknown) in UNKNOWN {
            let (own, name) = (&world.ids[kind], id_name(kind));
            if route.id_parameters.contains(&name) {
                let path = |id: &str| format!("{}?{name}={id}", route.path);
                let expected = world.call(route, &path(unknown), &stranger).await;
                let reply = world.call(route, &path(own), &stranger).await;
                assert_same(&reply, &expected, &route.name());
            }
            if route.id_members.contains(&name) {
                let call = async |id: &str| {
                    let body = route.body_with(&name, id);
                    let (method, path) = (&route.method, &route.path);
                    world.server.call_with(method, path, &stranger, body.as_bytes()).await
                };
                assert_same(&call(own).await, &call(unknown).await, &route.name());
            }
        }
    }
}

fn assert_same(reply: &Reply, expected: &Reply, name: &str) {
    assert_eq!(reply.status, expected.status, "{name} {reply:?}");
    let (shown, wanted) = (reply.json(), expected.json());
    assert_eq!(shown, wanted, "{name}");
}

#[tokio::test]
async fn no_list_shows_what_is_anothers() {
    let world = World::make().await;
    let stranger = bearer(&world.server.key("stranger", "manage").await);
    for route in world.routes.iter().filter(|route| route.method == "GET" && !route.is_admins()) {
        if route.kind().is_some() {
            continue;
        }
        let reply = world.call(route, &route.path, &stranger).await;
        assert_eq!(reply.status, 200, "{} {reply:?}", route.name());
        let shown = String::from_utf8_lossy(&reply.body).into_owned();
        let seen = world.ids.iter().find(|(_, id)| shown.contains(&format!("\"{id}\"")));
        assert_eq!(seen, None, "{}", route.name());
    }
}

#[tokio::test]
async fn every_route_refuses_what_it_does_not_know() {
    let world = World::make().await;
    let admin = bearer(ADMIN_KEY);
    for route in &world.routes {
        let path = world.own(route);
        let reply = world.call(route, &format!("{path}?unknown=1"), &admin).await;
        assert!(is(&reply, 422, "validation"), "{} {reply:?}", route.name());
        if !route.has_body {
            continue;
        }
        for (body, statuses) in [
            (&b"{"[..], &[400][..]),
            (b"nonsense", &[400]),
            (b"\xff\xfe", &[400]),
            (b"7", &[422]),
            (b"[]", &[422]),
            (br#"{"unknown":1}"#, &[422]),
        ] {
            let reply = world.server.call_with(&route.method, &path, &admin, body).await;
            let text = String::from_utf8_lossy(body);
            assert!(statuses.contains(&reply.status), "{} {text} {reply:?}", route.name());
            reply.code();
        }
    }
}
