//! Payloads and answers that want to be more than text.

use crate::person::{Person, text};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What must never stand in a page, wherever it came from.
const ACTIVE: [&str; 11] = [
    "<script>",
    "<img",
    "<svg on",
    "<svg/",
    "<iframe",
    "<b ",
    "<a href=\"javascript",
    "<style",
    "<form x",
    "<math",
    "<!--",
];

/// Texts as payloads and answers have them.
const TEXTS: [&str; 20] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<b onmouseover=alert(1)>x",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<style>*{background:url(//evil)}</style>",
    "<form x action=//evil><input name=key>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "</code></pre><script>alert(1)</script>",
    "</textarea><!--><script>alert(1)</script>-->",
    "\" onfocus=alert(1) autofocus x=\"",
    "' onclick='alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}#{alert(1)}<%= alert(1) %>",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#60;img&#62;",
    "\u{202e}gpj.exe\u{2066}\u{200b}\u{feff}",
    "javascript:alert(1)",
    "]]>\u{2028}<script>alert(1)</script>",
];

fn assert_inert(html: &str) {
    // what the pages themselves have of these is named by a file of ours, or has no attributes
    let main = html.split_once("<main").unwrap().1;
    for active in ACTIVE {
        assert!(!main.contains(active), "{active} in {main}");
    }
    for attribute in ["onerror=\"", "onload=\"", "onfocus=\"", "onclick=\"", " style=\""] {
        assert!(!html.contains(attribute), "{attribute} in {html}");
    }
    let hidden = |char: char| {
        (char.is_control() && char != '\n' && char != '\t')
            || ('\u{202a}'..='\u{202e}').contains(&char)
            || ('\u{2066}'..='\u{2069}').contains(&char)
    };
    let count = |text: &str| text.chars().filter(|char| hidden(*char)).count();
    let within = |attribute: &str| -> usize {
        main.split(attribute).skip(1).map(|part| count(part.split_once('"').unwrap().0)).sum()
    };
    let allowed = within("data-copy=\"") + within(" value=\"");
    assert_eq!(count(main), allowed, "what can't be seen is but copied or typed: {main}");
}

#[test]
fn hostile_payloads_and_answers_are_text_on_every_page() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    server.webhook(&receiver.url(), SECRET);
    let person = Person::at(&server);
    for hostile in TEXTS {
        let answer = format!(
            "HTTP/1.1 500 {hostile}\r\nx-evil: {hostile}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{hostile}",
            hostile.len()
        );
        receiver.script([Answer::Raw(answer.into_bytes())]);
        let data = serde_json::json!({ hostile: [hostile] }).to_string();
        let event = server.publish("code.generated", &data);
        let delivery = server.delivery(&event, 1);
        let id = delivery["id"].as_str().unwrap();
        let mut pages = vec![format!("/deliveries/{id}"), format!("/deliveries/{id}?as=hex")];
        for form in ["pretty", "exact", "hex"] {
            pages.push(format!("/events/{event}?body={form}"));
        }
        for page in pages {
            assert_inert(&person.sees(page));
        }
        let coded: String = form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
        for name in ["event_id", "event_type", "webhook_id", "cursor", "state", "after"] {
            let page =
                person.looks_at(format_args!("/dashboard/t/default/deliveries?{name}={coded}"));
            assert!(page.status == 200 || page.status == 422, "{}", page.status);
            assert_inert(&page.html);
        }
        let page = person.looks_at(format_args!("/dashboard/t/default/events?id_prefix={coded}"));
        assert_inert(&page.html);
    }
}

#[test]
fn bytes_that_are_no_text_are_shown_as_what_they_are() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    server.webhook(&receiver.url(), SECRET);
    let bytes: Vec<u8> = (0..=255).collect();
    let head = b"HTTP/1.1 500 X\r\nx-bytes: \xff\xfe\r\ncontent-length: 256\r\n\r\n".to_vec();
    receiver.script([Answer::Raw([head, bytes].concat())]);
    let event = server.publish("code.generated", "\"\\u0000\\u202e\"");
    let delivery = server.delivery(&event, 1);
    let person = Person::at(&server);
    let path = format!("/deliveries/{}", delivery["id"].as_str().unwrap());
    let html = person.sees(&path);
    assert_inert(&html);
    let page = text(&html);
    assert!(page.contains("\u{2400}") && page.contains("\\xff\\xfe"), "{page}");
    let hex = text(&person.sees(format_args!("{path}?as=hex")));
    assert!(hex.contains("0000f0  f0 f1 f2"), "{hex}");
}

#[test]
fn long_lines_and_long_answers_are_shown_within_bounds() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    server.webhook(&receiver.url(), SECRET);
    let line = "<".repeat(64 << 10);
    let answer = format!("HTTP/1.1 500 X\r\ncontent-length: {}\r\n\r\n{line}", line.len());
    receiver.script([Answer::Raw(answer.into_bytes())]);
    let event = server.publish("code.generated", &format!("\"{line}\""));
    let delivery = server.delivery(&event, 1);
    let person = Person::at(&server);
    let page = person.sees(format_args!("/deliveries/{}", delivery["id"].as_str().unwrap()));
    assert!(page.contains("Cut here: the receiver sent more than is kept."));
    assert!(page.len() < 2 << 20, "{}", page.len());
    let page = person.sees(format_args!("/events/{event}"));
    assert!(text(&page).contains(&line) && page.len() < 1 << 20, "{}", page.len());
}
