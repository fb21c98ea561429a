//! Which form the client wants its answer in: the header Accept (RFC 9110, section 12.5.1) against what GraphQL over HTTP has to offer.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::http::Refused;

/// The forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`: 200 for all that is an answer of GraphQL's, be it that the document is wrong.
    Json,
    /// `application/graphql-response+json`: the status says whether the operation ran.
    GraphqlResponse,
    /// `text/event-stream`: one answer after the other.
    EventStream,
}

impl Media {
    /// Its name.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::EventStream => "text/event-stream; charset=utf-8",
        })
    }

    /// The status of an answer to a document that cannot run.
    pub fn status_of_request_errors(self) -> StatusCode {
        match self {
            Self::Json => StatusCode::OK,
            Self::GraphqlResponse | Self::EventStream => StatusCode::BAD_REQUEST,
        }
    }
}

/// What the client takes, in the order of its wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// For one answer.
    pub single: Option<Media>,
    /// Whether it takes a stream of them.
    pub stream: bool,
}

impl Accepted {
    /// The form of what is no stream.
    pub fn media(self) -> Media {
        self.single.unwrap_or(Media::EventStream)
    }
}

/// What the header asks for; JSON where it is missing.
pub fn accepted(headers: &HeaderMap) -> Result<Accepted, Refused> {
    let ranges: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Accepted { single: Some(Media::Json), stream: false });
    }
    let ranges: Vec<(String, f32)> = ranges.into_iter().map(parse).collect();
    // What is named with weight zero is not taken by a wildcard either.
    let is_refused = |name: &str| ranges.iter().any(|(range, quality)| range == name && *quality <= 0.0);
    let mut single: Option<(f32, Media)> = None;
    let mut stream = false;
    for (range, quality) in ranges.iter().filter(|(_, quality)| *quality > 0.0) {
        let media = match range.as_str() {
            "application/graphql-response+json" => Media::GraphqlResponse,
            "application/json" => Media::Json,
            "application/*" | "*/*" if !is_refused("application/json") => Media::Json,
            "application/*" | "*/*" if !is_refused("application/graphql-response+json") => Media::GraphqlResponse,
            "text/event-stream" => {
                stream = true;
                continue;
            }
            _ => continue,
        };
        if single.is_none_or(|(best, _)| *quality > best) {
            single = Some((*quality, media));
        }
    }
    match (single.map(|(_, media)| media), stream) {
        (None, false) => Err(Refused::request(
            StatusCode::NOT_ACCEPTABLE,
            "The answer can be application/graphql-response+json, application/json or text/event-stream; Accept takes none of these.",
        )),
        (single, stream) => Ok(Accepted { single, stream }),
    }
}

/// A media range without its parameters, and its weight.
fn parse(range: &str) -> (String, f32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))?.parse().ok());
    (name, quality.unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights decide, then the order; what is refused by weight zero is not taken.
    #[test]
    fn wishes() {
        use Media::{GraphqlResponse, Json};
        for (accept, single, stream) in [
            ("*/*", Some(Json), false),
            ("application/json", Some(Json), false),
            ("application/graphql-response+json", Some(GraphqlResponse), false),
            ("application/graphql-response+json, application/json;q=0.9", Some(GraphqlResponse), false),
            ("application/graphql-response+json;q=0.1, application/json;q=0.9", Some(Json), false),
            ("Application/GraphQL-Response+JSON; charset=utf-8 , */*;q=0.1", Some(GraphqlResponse), false),
            ("application/json;q=0, */*", Some(GraphqlResponse), false),
            ("text/event-stream", None, true),
            ("application/json, text/event-stream", Some(Json), true),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(accepted(&headers).ok(), Some(Accepted { single, stream }), "{accept}");
        }
        for accept in ["text/html", "image/*", "", "application/json;q=0"] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert!(accepted(&headers).is_err(), "{accept}");
        }
    }
}
