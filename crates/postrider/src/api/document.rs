//! What the `OpenAPI` document says that no single route does: who may ask, and the errors that
//! every route has in common.

use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, License, Object, ObjectBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, Required, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::http::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use crate::http::problem::{Code, Fault, Problem};

const BEARER: &str = "bearer";

/// What every route can answer.
const COMMON: &[(&str, &str)] = &[
    ("400", "The request is not readable"),
    ("401", "The API key is missing, unknown, expired or revoked"),
    ("403", "The API key's scope is not enough"),
    ("404", "There is no such thing, or no such tenant, or not for this key"),
    ("422", "The request is readable but something in it is wrong; errors say where"),
    ("429", "Too many wrong API keys from this address"),
    ("500", "A fault of the server"),
    ("503", "The server is busy; Retry-After says when to come back"),
];

/// What routes that read a body can answer besides.
const WITH_BODY: &[(&str, &str)] = &[
    ("408", "The body did not arrive in time"),
    ("413", "The body is longer than 1 MiB"),
    ("415", "The body is of a type that is not JSON"),
];

/// The document before its routes.
pub(super) fn head() -> OpenApi {
    let mut info = Info::new("Postrider", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Delivers webhooks: publish an event once, and every webhook that wants it gets it, \
         signed, retried until it arrives or the schedule ends, with a record of what happened."
            .to_owned(),
    );
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let mut components = Components::new();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(BEARER, scheme);
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    let mut parts = Vec::new();
    Problem::schemas(&mut parts);
    parts.push((Fault::name().into_owned(), Fault::schema()));
    parts.push((Code::name().into_owned(), Code::schema()));
    components.schemas.extend(parts);
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]))
        .build()
}

/// The document with what its routes have in common.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        if !path.starts_with("/v1/") {
            continue;
        }
        let operations =
            [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete, &mut item.put];
        for operation in operations.into_iter().flatten() {
            let is_admins = path.starts_with("/v1/tenants") || path.starts_with("/v1/keys");
            complete_operation(operation, !is_admins);
        }
    }
    if let Some(components) = &mut document.components {
        components.schemas.iter_mut().for_each(|(name, schema)| refuse_others(name, schema));
    }
    document
}

/// Bodies are read strictly: members that are not described are refused.
fn refuse_others(name: &str, schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && (name.ends_with("Input") || name.ends_with("Change"))
        && !object.properties.is_empty()
    {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

fn complete_operation(operation: &mut Operation, has_tenant: bool) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "limit"
        {
            parameter.schema = Some(page_size().into());
        }
    }
    if has_tenant {
        let tenant = ParameterBuilder::new()
            .name("Postrider-Tenant")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The tenant, for admin keys; by default `default`"))
            .schema(Some(Object::with_type(Type::String)))
            .build();
        operation.parameters.get_or_insert_default().push(tenant.into());
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        leave_out_null(body);
    }
    let with_body: &[_] = if operation.request_body.is_some() { WITH_BODY } else { &[] };
    for (status, description) in COMMON.iter().chain(with_body) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/problem+json", content)
            .build();
        let responses = &mut operation.responses.responses;
        responses.entry((*status).to_owned()).or_insert_with(|| response.into());
    }
}

fn page_size() -> Schema {
    let items = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(PAGE_ITEMS_MAX))
        .default(Some(PAGE_ITEMS_DEFAULT.into()));
    Schema::Object(items.build())
}

/// A body that may be left out is described as one that may be null, which is something else.
fn leave_out_null(body: &mut RequestBody) {
    if body.required == Some(Required::True) {
        return;
    }
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(choices))) = &mut content.schema
            && !choices.items.is_empty()
        {
            content.schema = Some(choices.items.swap_remove(0));
        }
    }
}
