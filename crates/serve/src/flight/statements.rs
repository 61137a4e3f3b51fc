//! Statements: described without running, answered by ticket.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::sql::{ProstMessageExt as _, TicketStatementQuery};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_model::format::{Compression, FileKind, Format};
use portico_model::order::{ParameterValue, Work};
use portico_model::problem::{Problem, ProblemKind};
use portico_query::answer::{Answer, Ask};
use prost::Message as _;

use super::session::Visitor;
use super::{Flow, answers, handle, values};
use crate::site::Site;

/// A statement with the values bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// One row of parameters as an Arrow IPC stream.
    pub(super) parameters_ipc: Option<Vec<u8>>,
}

impl Statement {
    /// A statement without bound values.
    pub(super) fn of(sql: String) -> Self {
        Self { sql, parameters_ipc: None }
    }
}

/// The schema of the answer, and a ticket on the versions of now.
pub(super) async fn info(
    site: &Site,
    visitor: &Visitor,
    descriptor: FlightDescriptor,
    statement: Statement,
) -> Result<FlightInfo, Problem> {
    let answer = describe(site, visitor, &statement).await?;
    let pinned = Statement { sql: answer.pinned_sql.clone(), ..statement };
    let ticket = TicketStatementQuery { statement_handle: handle::write(&pinned)? };
    let ticket = ticket.as_any().encode_to_vec().into();
    answers::info(descriptor, &answers::plain(&answer.schema), vec![(ticket, None)], (None, None))
}

/// The answer's rows.
pub(super) async fn get(site: &Site, visitor: &Visitor, statement: Statement) -> Result<Flow<FlightData>, Problem> {
    let question = site.questions.gate(&ask(site, visitor, &statement, Work::Answer)?).await?;
    Ok(answers::flow(visitor.meter.answer(site, question).await?))
}

/// Plans without running: schemas of the answer and of the parameters.
pub(super) async fn describe(site: &Site, visitor: &Visitor, statement: &Statement) -> Result<Answer, Problem> {
    let question = site.questions.gate(&ask(site, visitor, statement, Work::Describe)?).await?;
    visitor.meter.answer(site, question).await
}

fn ask(site: &Site, visitor: &Visitor, statement: &Statement, work: Work) -> Result<Ask, Problem> {
    Ok(Ask {
        sql: statement.sql.clone(),
        parameters: statement.parameters_ipc.as_deref().map_or(Ok(BTreeMap::new()), parameters)?,
        kind: FileKind { format: Format::Flight, compression: Compression::None },
        options: visitor.options.clone(),
        caller: visitor.caller.clone(),
        timeout_ms: None,
        work,
        text_bytes_max: site.limits.statement.text_bytes,
        now_ms: site.now_ms(),
        part: None,
    })
}

/// Columns of the bound row: by place for clients that number them, by name where they have one of their own.
fn parameters(ipc: &[u8]) -> Result<BTreeMap<String, ParameterValue>, Problem> {
    let wrong = |detail: &str| Problem::new(ProblemKind::InvalidParameter, detail);
    let batch = values::read(ipc).ok_or_else(|| wrong("The bound values cannot be read."))?;
    if batch.num_rows() != 1 {
        return Err(wrong("Bind one row of values; a statement is asked once for each row."));
    }
    let mut values = BTreeMap::new();
    for (place, field) in batch.schema().fields().iter().enumerate() {
        let numbered = field.name().is_empty() || field.name().bytes().all(|byte| byte.is_ascii_digit());
        let key =
            if numbered { (place + 1).to_string() } else { field.name().trim_start_matches(['$', ':']).to_owned() };
        let one = batch.project(&[place]).map_err(answers::internal)?;
        values.insert(key, ParameterValue::Arrow(STANDARD.encode(to_ipc(&one)?)));
    }
    Ok(values)
}

/// A batch as an IPC stream.
pub(super) fn to_ipc(batch: &RecordBatch) -> Result<Vec<u8>, Problem> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(answers::internal)?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(answers::internal)?;
    writer.into_inner().map_err(answers::internal)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn check(names: &[&str], rows: i64, expect: Option<&[&str]>) {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_from_iter(names.iter().map(|name| (*name, Arc::clone(&column)))).unwrap();
        let keys = parameters(&to_ipc(&batch).unwrap()).map(|values| values.into_keys().collect::<Vec<_>>());
        assert_eq!(keys.ok(), expect.map(|keys| keys.iter().map(ToString::to_string).collect()), "{names:?}");
    }

    #[test]
    fn values_bind_by_place_or_by_name() {
        check(&["0", "1"], 1, Some(&["1", "2"]));
        check(&["", "status"], 1, Some(&["1", "status"]));
        check(&["$status"], 1, Some(&["status"]));
        check(&["0"], 2, None);
        assert!(parameters(b"not arrow").is_err());
    }
}
