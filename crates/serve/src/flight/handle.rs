//! What a prepared statement's handle holds: the statement and its bound values, so that no server has to remember.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portico_model::problem::Problem;
use serde::{Deserialize, Serialize};

use super::bad;
use super::statements::Statement;

/// Every handle begins with it; a later layout will have another.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    sql: String,
    /// One row of parameters as an Arrow IPC stream, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<String>,
}

/// The handle of a statement.
pub(super) fn write(statement: &Statement) -> Result<Bytes, Problem> {
    let parameters = statement.parameters_ipc.as_ref().map(|ipc| STANDARD.encode(ipc));
    let content = Content { sql: statement.sql.clone(), parameters };
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, &content).map_err(|_| Problem::internal())?;
    Ok(bytes.into())
}

/// The statement of a handle. Handles are not signed: whatever is in one goes through the gate.
pub(super) fn parse(handle: &[u8]) -> Result<Statement, Problem> {
    let damaged = || bad("The statement's handle is not one of this server.");
    let content = handle.strip_prefix(&[VERSION]).ok_or_else(damaged)?;
    let content: Content = serde_json::from_slice(content).map_err(|_| damaged())?;
    let parameters_ipc = match content.parameters {
        Some(text) => Some(STANDARD.decode(text).map_err(|_| damaged())?),
        None => None,
    };
    Ok(Statement { sql: content.sql, parameters_ipc })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_carry_the_whole_statement() {
        let statement = Statement { sql: "select $1".to_owned(), parameters_ipc: Some(vec![1, 2, 3]) };
        assert_eq!(parse(&write(&statement).unwrap()).unwrap(), statement);
        for bad in [&b""[..], b"\x01", b"\x02{}", b"\x01{\"sql\":1}", b"\x01{\"sql\":\"\",\"more\":1}"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
