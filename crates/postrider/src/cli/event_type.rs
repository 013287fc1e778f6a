//! `event-type …`: the catalogue of a tenant.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::ClientArgs;
use super::failure::Failure;
use super::input::{given_json, plain_name, query, to_json};
use super::list::ListArgs;
use super::output::details;
use super::server::keyed;

const DETAILS: [&str; 8] = [
    "name",
    "description",
    "validation",
    "large_integers",
    "is_builtin",
    "archived_at",
    "schema",
    "example",
];

#[derive(Subcommand)]
pub(super) enum EventTypeCommand {
    /// List event types
    List(EventTypesArgs),
    /// Show an event type, its schema and its example
    Get(OneArgs),
    /// Add an event type
    Create(CreateArgs),
    /// Change an event type; what isn't given stays
    Update(UpdateArgs),
    /// Take no more events of a type
    Archive(OneArgs),
    /// Take events of an archived type again
    Unarchive(OneArgs),
}

#[derive(Args)]
pub(super) struct EventTypesArgs {
    /// Archived ones too
    #[arg(long)]
    include_archived: bool,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
pub(super) struct OneArgs {
    /// Name of the event type
    #[arg(value_parser = plain_name)]
    name: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Name of the event type, such as invoice.paid
    #[arg(value_parser = plain_name)]
    name: String,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct UpdateArgs {
    /// Name of the event type
    #[arg(value_parser = plain_name)]
    name: String,
    /// What to set back to nothing
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SETTING,…")]
    clear: Vec<Clearable>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
struct SettingsArgs {
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// JSON Schema of the data: JSON, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "JSON|@FILE|-")]
    schema: Option<String>,
    /// Data as it could be: JSON, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "JSON|@FILE|-")]
    example: Option<String>,
    /// What becomes of data that the schema doesn't allow
    #[arg(long, value_enum)]
    validation: Option<Validation>,
    /// What becomes of integers that a double can't hold
    #[arg(long, value_enum)]
    large_integers: Option<LargeIntegers>,
}

#[derive(Clone, Copy, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Validation {
    Off,
    Warn,
    Reject,
}

#[derive(Clone, Copy, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum LargeIntegers {
    Refuse,
    Stringify,
    Round,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clearable {
    Description,
    Schema,
    Example,
}

/// The body of `POST /v1/event-types` and `PATCH /v1/event-types/{name}`.
#[derive(Serialize)]
struct Draft<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Validation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    large_integers: Option<LargeIntegers>,
}

pub(super) async fn run(command: EventTypeCommand) -> Result<(), Failure> {
    match command {
        EventTypeCommand::List(args) => {
            let archived = args.include_archived.then_some("true");
            let path = query("/v1/event-types", &[("include_archived", archived)]);
            args.list.print(&path, &["name", "validation", "archived_at", "description"]).await
        }
        EventTypeCommand::Get(args) => get(args).await,
        EventTypeCommand::Create(args) => create(args).await,
        EventTypeCommand::Update(args) => update(args).await,
        EventTypeCommand::Archive(args) => change(args, "archive").await,
        EventTypeCommand::Unarchive(args) => change(args, "unarchive").await,
    }
}

async fn get(args: OneArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&path(&args.name)).await?;
    args.client.output.print(&answer, |event_type| details(event_type, &DETAILS))
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let draft = Draft { name: Some(&args.name), ..args.settings.draft()? };
    let server = keyed(args.client.server)?;
    let answer = server.post("/v1/event-types", Some(&draft)).await?;
    args.client.output.print(&answer, |event_type| details(event_type, &DETAILS))
}

async fn update(args: UpdateArgs) -> Result<(), Failure> {
    let mut draft = args.settings.draft()?;
    for setting in args.clear {
        let (name, slot) = match setting {
            Clearable::Description => ("description", &mut draft.description),
            Clearable::Schema => ("schema", &mut draft.schema),
            Clearable::Example => ("example", &mut draft.example),
        };
        if slot.replace(RawValue::NULL.to_owned()).is_some() {
            return Err(Failure::usage(format!("{name} is both given and cleared"))
                .hint("give it, or name it in --clear"));
        }
    }
    let body = to_json(&draft)?;
    if body == b"{}" {
        return Err(Failure::usage("there is nothing to change")
            .hint("give what is to change; `event-type update --help` lists it"));
    }
    let server = keyed(args.client.server)?;
    let answer = server.request(Method::PATCH, &path(&args.name), Some(body)).await?;
    args.client.output.print(&answer, |event_type| details(event_type, &DETAILS))
}

async fn change(args: OneArgs, verb: &str) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.post(&format!("{}/{verb}", path(&args.name)), None::<&Value>).await?;
    args.client.output.print(&answer, |event_type| details(event_type, &DETAILS))
}

fn path(name: &str) -> String {
    format!("/v1/event-types/{name}")
}

impl SettingsArgs {
    fn draft(&self) -> Result<Draft<'static>, Failure> {
        let given = |flag, text: &Option<String>| {
            text.as_deref().map(|text| given_json(flag, text)).transpose()
        };
        let description = self.description.as_ref().map(to_raw_value).transpose();
        Ok(Draft {
            name: None,
            description: description
                .map_err(|error| Failure::fault(format!("a text can't be JSON: {error}")))?,
            schema: given("--schema", &self.schema)?,
            example: given("--example", &self.example)?,
            validation: self.validation,
            large_integers: self.large_integers,
        })
    }
}
