//! The answers of the health paths, for the listener that metrics have.

use super::answer::{Answer, Readers, Refusal};
use super::feed::ResponseBody;
use super::health;
use crate::server::hub::Hub;
use http::Response;

fn response(answer: Result<Answer, Refusal>) -> Response<ResponseBody> {
    answer.unwrap_or_else(Refusal::into_answer).into_response(Readers::Own).map(Into::into)
}

/// `GET /`
pub(crate) fn alive() -> Response<ResponseBody> {
    response(Ok(Answer::healthy()))
}

/// `GET /ready`
pub(crate) fn ready(hub: &Hub) -> Response<ResponseBody> {
    response(health::ready(hub))
}

/// `GET /usage`: the memory, as Soketi tells it.
pub(crate) fn usage() -> Response<ResponseBody> {
    response(Ok(health::usage()))
}

/// The answer to what is neither GET nor HEAD.
pub(crate) fn wrong_method() -> Response<ResponseBody> {
    response(Err(Refusal::method("GET, HEAD")))
}
