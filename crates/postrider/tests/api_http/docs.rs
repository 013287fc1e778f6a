//! The page at `/docs` shows the document with what comes from this server alone.

use std::io::Read as _;

use crate::support::{Reply, Server};

async fn get(server: &Server, path: &str, headers: &str) -> Reply {
    let reply = server.call_with("GET", path, headers, b"").await;
    assert_eq!(reply.status, 200, "{path}");
    let policy = reply.header("content-security-policy").expect("a policy");
    let sources = policy.split(';').flat_map(|directive| directive.split_whitespace().skip(1));
    for source in sources {
        let is_own = ["'none'", "'self'", "'unsafe-inline'", "data:"].contains(&source);
        assert!(is_own, "{path} may load from {source}");
    }
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(policy.contains("connect-src 'self'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    reply
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

#[tokio::test]
async fn the_page_loads_from_this_server_only() {
    let server = Server::start().await;
    let page = get(&server, "/docs", "").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let page = text(&page);
    assert!(!page.contains("http:") && !page.contains("https:"), "{page}");
    let sources: Vec<_> = page.split("src=\"").skip(1).collect();
    let sources: Vec<_> = sources.iter().map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(sources, ["/docs/reference.js", "/docs/page.js"]);
    // scripts in line would be refused by its own policy
    assert_eq!(page.matches("<script").count(), sources.len());

    let script = get(&server, "/docs/page.js", "").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let script = text(&script);
    assert!(script.contains("url: '/openapi.json'"), "{script}");
    assert!(script.contains("withDefaultFonts: false"), "{script}");
    assert!(script.contains("telemetry: false"), "{script}");
    assert!(!script.contains("http:") && !script.contains("https:"), "{script}");
}

#[tokio::test]
async fn the_viewer_is_compressed_for_those_who_accept_it() {
    let server = Server::start().await;
    let plain = get(&server, "/docs/reference.js", "").await;
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    assert!(text(&plain).contains("createApiReference"));

    let accepts = "Accept-Encoding: gzip, deflate, br\r\n";
    let compressed = get(&server, "/docs/reference.js", accepts).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() < plain.body.len() / 3, "{}", compressed.body.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&compressed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain.body, "what is unpacked is what there was");
    let again = get(&server, "/docs/reference.js", accepts).await;
    assert!(again.body == compressed.body);
}
