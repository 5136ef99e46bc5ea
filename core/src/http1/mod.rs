//! HTTP/1.1 as pure functions: bytes in, decisions and bytes out (RFC 9110, RFC 9112).
//!
//! The way of a message:
//!
//! 1. its bytes gather in one buffer, and a [`HeadScanner`] looks at each once, finds the head's
//!    end, and refuses at once what can never become valid;
//! 2. [`parse_request`] or [`parse_response`] names the parts of the complete head and decides
//!    the body's framing; what two servers could read in two ways is a [`Refusal`];
//! 3. [`write_request`] or [`write_response`] writes the head that is sent on;
//! 4. a [`BodyReader`] bounds the body, and takes a chunked one apart in place;
//!    [`chunk_header`] and its constants put one together.
//!
//! [`write_answer`] makes the proxy's own answers. Nothing here holds a socket, a session, or a
//! byte of a message beyond the call.

mod answers;
mod body;
mod bytes;
mod chunk_out;
mod chunked;
mod date;
mod fields;
mod host;
mod json;
mod refusal;
mod request;
mod response;
mod rewrite;
mod scan;
mod sniff;
mod write;

pub(crate) use bytes::{is_target, is_text, is_token};

pub use answers::{Answer, reason, write_answer, write_location};
pub use body::{BodyReader, Decoded};
pub use chunk_out::{CHUNK_END, CHUNK_HEADER_MAX, LAST_CHUNK, chunk_header, chunk_header_before};
pub use chunked::{CHUNK_LINE_BYTES_MAX, ChunkDecoder, TRAILER_BYTES_MAX};
pub use fields::{
    CONNECTION_OPTIONS_MAX, FIELDS_MAX, FieldSpace, Fields, field_space, is_field_name,
    is_field_value, is_reserved,
};
pub use host::{AUTHORITY_BYTES_MAX, HOST_BYTES_MAX, canonical_host};
pub use httparse::Header;
pub use refusal::Refusal;
pub use request::{Framing, Request, is_idempotent, parse_request};
pub use response::{Asked, BodyOut, Response, Returning, parse_response, write_response};
pub use rewrite::{
    ADDED_BYTES_MAX, Forwarding, Scheme, parse_request_id, trusted_request_id, write_request,
    write_request_id,
};
pub use scan::{HeadScanner, Scan};
pub use sniff::plaintext_on_tls;

#[cfg(test)]
mod tests;
