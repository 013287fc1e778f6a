//! Who receives: three tenants and forty webhooks, most of them well.

use super::temper::{Temper, Trouble};
use Temper::{Busy, Flaky, Gone, Paused, Slow, Well};

/// A tenant, and its share of all events in percent.
pub(crate) struct TenantPlan {
    pub(crate) name: &'static str,
    pub(crate) share: u64,
    /// How often each of the built-in event types happens there, in their order.
    pub(crate) types: [u64; 16],
}

/// A webhook of a tenant.
pub(crate) struct WebhookPlan {
    pub(crate) tenant: usize,
    pub(crate) url: &'static str,
    pub(crate) description: &'static str,
    pub(crate) wants: &'static [&'static str],
    pub(crate) profile: &'static str,
    pub(crate) temper: Temper,
}

pub(crate) const TENANTS: [TenantPlan; 3] = [
    TenantPlan {
        name: "acme",
        share: 72,
        types: [260, 210, 120, 70, 62, 6, 3, 9, 7, 2, 14, 10, 18, 120, 60, 25],
    },
    TenantPlan {
        name: "globex",
        share: 20,
        types: [120, 90, 60, 90, 80, 9, 4, 4, 3, 1, 30, 22, 40, 20, 8, 4],
    },
    TenantPlan {
        name: "initech",
        share: 8,
        types: [90, 60, 40, 10, 9, 1, 0, 2, 2, 6, 3, 1, 4, 70, 30, 12],
    },
];

const fn webhook(
    tenant: usize,
    url: &'static str,
    description: &'static str,
    wants: &'static [&'static str],
    temper: Temper,
) -> WebhookPlan {
    WebhookPlan { tenant, url, description, wants, profile: "standard", temper }
}

const fn bot(
    url: &'static str,
    description: &'static str,
    wants: &'static [&'static str],
    temper: Temper,
) -> WebhookPlan {
    let profile = "automa";
    WebhookPlan { profile, ..webhook(0, url, description, wants, temper) }
}

const fn since(hours: i64, trouble: Trouble) -> Temper {
    Temper::Broken { hours, trouble }
}

/// The names under `.example` lead nowhere (RFC 2606): a server that has this history sends nothing
/// to anybody.
pub(crate) const WEBHOOKS: [WebhookPlan; 40] = [
    webhook(
        0,
        "https://hooks.acme.example/autonoma/deployments",
        "Deployment board in the office",
        &["deployment.*"],
        Well(38),
    ),
    webhook(
        0,
        "https://chat.acme.example/services/T024/B4X1/incoming",
        "#engineering: merges and rollbacks",
        &["code.merged", "deployment.rollback"],
        Well(112),
    ),
    webhook(
        0,
        "https://pager.acme.example/v2/enqueue",
        "Pages whoever is on call",
        &["deployment.failed", "system.anomaly_detected", "system.performance_alert"],
        Well(74),
    ),
    webhook(
        0,
        "https://ci.acme.example/generic-webhook-trigger/invoke",
        "Starts the nightly build early",
        &["code.merged"],
        Flaky(61),
    ),
    webhook(
        0,
        "https://warehouse.acme.example/ingest/events",
        "Everything, for the data warehouse",
        &["*"],
        Well(210),
    ),
    webhook(
        0,
        "https://api.acme.example/internal/autonoma",
        "Main backend",
        &["code.*", "task.created", "proposal.*"],
        Well(29),
    ),
    webhook(
        0,
        "https://audit.acme.example/collect",
        "Audit trail, seven years",
        &["security.*", "deployment.*", "proposal.*"],
        Well(55),
    ),
    webhook(
        0,
        "https://n8n.acme.example/webhook/5f2b1c",
        "Growth team's automations",
        &["task.created"],
        Slow(2_300),
    ),
    webhook(
        0,
        "https://legacy.acme.example:8443/soap/bridge",
        "Bridge to the old ticket system; Dana knows it",
        &["proposal.*"],
        since(30, Trouble::Answers(500)),
    ),
    webhook(
        0,
        "https://edge-eu.acme.example/hooks",
        "Cache purge, Frankfurt",
        &["deployment.completed"],
        Well(18),
    ),
    webhook(
        0,
        "https://edge-us.acme.example/hooks",
        "Cache purge, Oregon",
        &["deployment.completed"],
        Well(141),
    ),
    webhook(
        0,
        "https://edge-ap.acme.example/hooks",
        "Cache purge, Singapore",
        &["deployment.completed"],
        Flaky(236),
    ),
    webhook(
        0,
        "https://metrics.acme.example/v1/annotations",
        "Marks deployments in graphs",
        &["deployment.started", "deployment.completed"],
        Well(24),
    ),
    webhook(
        0,
        "https://vuln.acme.example/api/findings",
        "Vulnerability tracker",
        &["security.vulnerability_detected", "security.vulnerability_fixed"],
        Well(88),
    ),
    webhook(
        0,
        "https://staging.acme.example/hooks/autonoma",
        "Staging copy of the backend",
        &["code.*"],
        since(4, Trouble::Refused),
    ),
    webhook(
        0,
        "https://search.acme.example/reindex",
        "Code search",
        &["code.merged", "code.generated"],
        Busy(160),
    ),
    webhook(
        0,
        "https://old-bot.acme.example/hook",
        "Replaced by reviewer-2 in October",
        &["code.reviewed"],
        Gone(460),
    ),
    webhook(
        0,
        "https://finance.acme.example/usage",
        "Usage by agent, for billing",
        &["code.generated", "task.created"],
        Well(95),
    ),
    bot(
        "https://coder.bots.example/automa",
        "Bot: coder",
        &["task.created", "proposal.accepted", "proposal.rejected"],
        Well(46),
    ),
    bot(
        "https://reviewer.bots.example/automa",
        "Bot: reviewer",
        &["code.generated", "proposal.accepted"],
        Well(51),
    ),
    bot(
        "https://docs-writer.bots.example/api/automa",
        "Bot: keeps the handbook up to date",
        &["code.merged"],
        Slow(3_900),
    ),
    bot(
        "https://translator.bots.example/automa",
        "Bot: translations",
        &["proposal.rejected"],
        since(150, Trouble::Answers(502)),
    ),
    bot(
        "https://dependabot-ng.bots.example/automa",
        "Bot: dependencies",
        &["security.vulnerability_detected", "task.created"],
        Well(67),
    ),
    webhook(
        0,
        "https://experiments.acme.example/collect",
        "Paused until the new cluster is there",
        &["code.generated"],
        Paused(250),
    ),
    webhook(
        1,
        "https://relay.globex.example/in/autonoma",
        "Relay to the plants",
        &["deployment.*", "system.*"],
        Well(133),
    ),
    webhook(
        1,
        "https://scada-gw.globex.example/notify",
        "Control room display",
        &["system.anomaly_detected", "system.performance_alert"],
        Flaky(310),
    ),
    webhook(
        1,
        "https://teams.globex.example/webhookb2/91c4",
        "Channel: releases",
        &["deployment.completed", "deployment.failed"],
        Well(240),
    ),
    webhook(1, "https://lake.globex.example/raw", "Data lake", &["*"], Well(120)),
    webhook(
        1,
        "https://qa.globex.example/trigger",
        "Regression tests after a merge",
        &["code.merged"],
        Well(82),
    ),
    webhook(
        1,
        "https://partner.globex-logistics.example/events",
        "Partner: logistics",
        &["deployment.completed"],
        since(52, Trouble::Certificate),
    ),
    webhook(
        1,
        "https://iot.globex.example/bridge",
        "Rolls firmware back",
        &["deployment.rollback", "system.self_healing_triggered"],
        Well(64),
    ),
    webhook(
        1,
        "https://siem.globex.example/services/collector",
        "Security events",
        &["security.*"],
        Well(41),
    ),
    webhook(
        1,
        "https://reports.globex.example/monthly",
        "Monthly report",
        &["code.merged", "deployment.completed"],
        Well(175),
    ),
    webhook(
        1,
        "https://sandbox.globex.example/echo",
        "Somebody's experiment",
        &["code.generated"],
        since(9, Trouble::Silence),
    ),
    webhook(
        2,
        "https://tps.initech.example/reports",
        "TPS reports",
        &["task.created", "proposal.*"],
        Well(150),
    ),
    webhook(
        2,
        "https://printer.initech.example/queue",
        "Prints cover sheets",
        &["task.created"],
        Flaky(420),
    ),
    webhook(
        2,
        "https://y2k.initech.example/cgi-bin/hook.pl",
        "Old intranet",
        &["code.*"],
        Slow(1_700),
    ),
    webhook(
        2,
        "https://milton.initech.example/basement",
        "Nobody remembers",
        &["code.reviewed"],
        since(70, Trouble::UnknownName),
    ),
    webhook(
        2,
        "https://compliance.initech.example/soc2",
        "Evidence for the auditor",
        &["security.compliance_check", "security.vulnerability_fixed"],
        Well(58),
    ),
    webhook(
        2,
        "https://helpdesk.initech.example/api/v3/hooks",
        "Opens tickets for failed deployments",
        &["deployment.failed", "system.anomaly_detected"],
        Well(99),
    ),
];
