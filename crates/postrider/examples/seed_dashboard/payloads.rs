//! What events say: `data` in the form of the catalogue's examples, with other values.

use postrider_core::id::UnixMs;
use postrider_signature::timestamp;

use super::dice::Dice;

const REPOSITORIES: [&str; 7] = [
    "acme/web",
    "acme/api",
    "acme/mobile",
    "acme/infra",
    "acme/billing",
    "acme/docs",
    "acme/search",
];
const SERVICES: [&str; 6] = ["checkout", "accounts", "search", "thumbnails", "billing", "gateway"];
const TITLES: [&str; 8] = [
    "Retry payments that time out",
    "Rename a button",
    "Remove the unused feature flag",
    "Cache the price list for a minute",
    "Translate the sign-up page",
    "Upgrade the image library",
    "Show the delivery date in the cart",
    "Fix the flaky invoice test",
];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const REASONS: [&str; 4] = [
    "2 of 6 instances did not become healthy within 60 s",
    "migration 0142 could not be applied",
    "image registry.acme.example/checkout:2026.11.3 was not found",
    "smoke test of /cart answered 500",
];
const METRICS: [&str; 3] = ["p95_response_ms", "error_rate_percent", "queue_age_s"];

/// `data` of an event of the built-in type of this name.
pub(crate) fn data(event_type: &str, at: UnixMs, dice: &mut Dice) -> String {
    let repository = *dice.pick(&REPOSITORIES);
    let service = *dice.pick(&SERVICES);
    let title = *dice.pick(&TITLES);
    let severity = *dice.pick(&SEVERITIES);
    let commit = dice.hex(20);
    let pull_request = dice.between(1_200, 9_800);
    let agent = dice.between(1, 6);
    let deployment = format!("dep_{}", dice.hex(6));
    let version = format!("2026.{}.{}", dice.between(8, 11), dice.between(1, 40));
    let environment = if dice.hits(7_000) { "production" } else { "staging" };
    let time = timestamp::format_ms(at);
    let deployed = format!(
        r#""deployment_id":"{deployment}","service":"{service}","environment":"{environment}","version":"{version}""#
    );
    match event_type {
        "code.generated" => {
            let (files, added, removed) =
                (dice.between(1, 14), dice.between(3, 420), dice.below(160));
            format!(
                r#"{{"repository":"{repository}","branch":"agent/{commit}","commit":"{commit}","agent":"coder-{agent}","files":{files},"lines_added":{added},"lines_removed":{removed},"summary":"{title}"}}"#
            )
        }
        "code.reviewed" => {
            let verdict = if dice.hits(8_200) { "approved" } else { "changes_requested" };
            let comments = dice.below(9);
            format!(
                r#"{{"repository":"{repository}","branch":"agent/{commit}","commit":"{commit}","pull_request":{pull_request},"reviewer":"reviewer-{agent}","verdict":"{verdict}","comments":{comments}}}"#
            )
        }
        "code.merged" => format!(
            r#"{{"repository":"{repository}","branch":"main","commit":"{commit}","pull_request":{pull_request},"merged_by":"coder-{agent}","merged_at":"{time}"}}"#
        ),
        "deployment.started" => {
            format!(r#"{{{deployed},"started_at":"{time}","started_by":"deployer-{agent}"}}"#)
        }
        "deployment.completed" => {
            let duration_s = dice.between(40, 700);
            format!(r#"{{{deployed},"completed_at":"{time}","duration_s":{duration_s}}}"#)
        }
        "deployment.failed" => {
            let reason = dice.pick(&REASONS);
            format!(
                r#"{{{deployed},"failed_at":"{time}","step":"health-check","reason":"{reason}"}}"#
            )
        }
        "deployment.rollback" => format!(
            r#"{{{deployed},"to_version":"2026.7.9","reason":"error rate above 2 %","is_automatic":true}}"#
        ),
        "security.vulnerability_detected" => {
            let cve = dice.between(10_000, 49_000);
            format!(
                r#"{{"repository":"{repository}","vulnerability_id":"CVE-2026-{cve}","severity":"{severity}","package":"imagekit","installed_version":"4.2.0","fixed_version":"4.2.3","path":"services/{service}"}}"#
            )
        }
        "security.vulnerability_fixed" => {
            let cve = dice.between(10_000, 49_000);
            format!(
                r#"{{"repository":"{repository}","vulnerability_id":"CVE-2026-{cve}","severity":"{severity}","package":"imagekit","fixed_version":"4.2.3","commit":"{commit}","pull_request":{pull_request}}}"#
            )
        }
        "security.compliance_check" => {
            let passed = dice.between(54, 62);
            format!(
                r#"{{"scan_id":"scan_{commit}","framework":"SOC 2","passed":{passed},"failed":1,"findings":[{{"control":"CC6.1","severity":"{severity}","text":"One access key is older than 90 days"}}]}}"#
            )
        }
        "system.anomaly_detected" => {
            let observed = dice.between(4, 60);
            format!(
                r#"{{"service":"{service}","environment":"{environment}","metric":"requests_per_second","observed":{observed}.4,"expected":88.0,"severity":"{severity}","since":"{time}"}}"#
            )
        }
        "system.performance_alert" => {
            let (metric, value) = (*dice.pick(&METRICS), dice.between(900, 4_000));
            format!(
                r#"{{"service":"{service}","environment":"{environment}","metric":"{metric}","value":{value}.5,"threshold":800,"window_s":300,"severity":"{severity}"}}"#
            )
        }
        "system.self_healing_triggered" => format!(
            r#"{{"service":"{service}","environment":"{environment}","action":"restart_instances","reason":"3 instances stopped answering","anomaly_id":"ano_{commit}"}}"#
        ),
        "task.created" => {
            let (task, item) = (dice.between(2_000, 60_000), dice.between(9_000, 99_000));
            let token = dice.hex(24);
            format!(
                r#"{{"org":{{"id":1,"name":"acme","provider_type":"github"}},"repo":{{"id":{agent},"is_private":true,"name":"{repository}"}},"task":{{"id":{task},"items":[{{"data":{{"orgId":1}},"id":{item},"type":"origin"}},{{"data":{{"content":"{title}, please."}},"id":{pull_request},"type":"message"}}],"title":"{title}","token":"{token}"}}}}"#
            )
        }
        _ => {
            let merged = event_type == "proposal.accepted";
            let (proposal, task) = (dice.between(100, 9_000), dice.between(2_000, 60_000));
            format!(
                r#"{{"org":{{"id":1,"name":"acme","provider_type":"github"}},"proposal":{{"bot_id":{agent},"data":{{"prBase":"main","prHead":"automa/{commit}","prId":{item},"prMerged":{merged},"prNumber":{pull_request},"prState":"closed","prTitle":"{title}"}},"id":{proposal},"repo_id":1,"type":"proposal"}},"task":{{"id":{task},"title":"{title}"}}}}"#,
                item = dice.between(1_000_000, 9_000_000)
            )
        }
    }
}
