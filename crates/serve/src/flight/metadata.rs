//! What Flight SQL clients ask before they ask anything: catalogs, tables, keys, types, the server itself.
//!
//! Only published names are in any of it. LIKE patterns are matched here, in time linear in pattern times name, since
//! clients send whole statements as patterns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder, SqlInfoDataBuilder};
use arrow_flight::sql::{
    Command, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTables, SqlInfo, SqlSupportedTransaction,
};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo};
use portico_model::name::DatasetName;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::DatasetFilter;

use super::session::Visitor;
use super::{Flow, answers, bad};
use crate::problem::problem_of_store;
use crate::site::Site;
use types::xdbc_types;

mod types;

/// The one catalog and the schema of the datasets. `information_schema` can be asked as well, but tools that list
/// schemas look for tables in each, and want those of the data.
const CATALOG: &str = "portico";
const SCHEMA: &str = "public";
const TABLE: &str = "TABLE";
/// Datasets that are read from the catalog at a time.
const PAGE: u64 = 1_000;
/// Types of tables that one GetTables may name: there is one.
const TABLE_TYPES_MAX: usize = 100;
/// Codes of one GetSqlInfo that are looked at: there are fewer than that.
const INFO_CODES_MAX: usize = 512;

/// The schema of a metadata command's answer; the command itself is the ticket.
pub(super) async fn info(
    site: &Arc<Site>,
    visitor: &Visitor,
    descriptor: FlightDescriptor,
    command: Command,
) -> Result<FlightInfo, Problem> {
    let ticket = descriptor.cmd.clone();
    let batch = answer(site, visitor, command).await?;
    answers::info(descriptor, &batch.schema(), vec![(ticket, None)], (None, None))
}

/// A metadata command's answer.
pub(super) async fn get(site: &Arc<Site>, visitor: &Visitor, command: Command) -> Result<Flow<FlightData>, Problem> {
    answer(site, visitor, command).await.map(answers::flow_of_batch)
}

/// Every published name, sorted.
pub(super) async fn names(site: &Site) -> Result<Vec<DatasetName>, Problem> {
    let mut names = Vec::new();
    loop {
        let offset = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let filter = DatasetFilter { offset, limit: PAGE, ..DatasetFilter::default() };
        let (page, total) = site.store.catalog.datasets(&filter).await.map_err(|error| problem_of_store(&error))?;
        let last = page.is_empty();
        names.extend(page.into_iter().map(|record| record.metadata.name));
        if last || u64::try_from(names.len()).unwrap_or(u64::MAX) >= total {
            names.sort();
            return Ok(names);
        }
    }
}

async fn answer(site: &Site, _visitor: &Visitor, command: Command) -> Result<RecordBatch, Problem> {
    match command {
        Command::CommandGetCatalogs(_) => {
            let mut catalogs = GetCatalogsBuilder::new();
            catalogs.append(CATALOG);
            catalogs.build().map_err(answers::internal)
        }
        Command::CommandGetDbSchemas(command) => schemas(&command),
        Command::CommandGetTables(command) => tables(site, &command).await,
        Command::CommandGetTableTypes(command) => {
            let mut types = command.into_builder();
            types.append(TABLE);
            types.build().map_err(answers::internal)
        }
        Command::CommandGetSqlInfo(command) => server_info(command),
        Command::CommandGetXdbcTypeInfo(command) => {
            xdbc_types()?.record_batch(command.data_type).map_err(answers::internal)
        }
        // Versions are snapshots of what departments keep: no keys are enforced, so none are claimed.
        Command::CommandGetPrimaryKeys(_) => empty(
            &["catalog_name", "db_schema_name", "table_name", "column_name"],
            &[("key_name", DataType::Utf8), ("key_sequence", DataType::Int32)],
        ),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => foreign_keys(),
        _ => Err(Problem::new(
            ProblemKind::StatementNotAllowed,
            "Portico answers read-only queries: no updates, no ingestion, no Substrait plans, no transactions.",
        )),
    }
}

fn schemas(command: &CommandGetDbSchemas) -> Result<RecordBatch, Problem> {
    let mut schemas = GetDbSchemasBuilder::new(command.catalog.clone(), None::<String>);
    if like(command.db_schema_filter_pattern.as_deref(), SCHEMA) {
        schemas.append(CATALOG, SCHEMA);
    }
    schemas.build().map_err(answers::internal)
}

async fn tables(site: &Site, command: &CommandGetTables) -> Result<RecordBatch, Problem> {
    let types = &command.table_types;
    if types.len() > TABLE_TYPES_MAX {
        return Err(bad(&format!("GetTables names at most {TABLE_TYPES_MAX} types of tables.")));
    }
    let longest = usize::try_from(site.limits.statement.text_bytes).unwrap_or(usize::MAX);
    if command.table_name_filter_pattern.as_ref().is_some_and(|pattern| pattern.len() > longest) {
        return Err(bad(&format!("A pattern has at most {longest} bytes.")));
    }
    // The types are looked at here: the builder would go through all its rows for each of them.
    let wanted = types.is_empty() || types.iter().any(|asked| asked == TABLE);
    let (catalog, any) = (command.catalog.clone(), None::<String>);
    let mut tables = GetTablesBuilder::new(catalog, any.clone(), any, Vec::<String>::new(), command.include_schema);
    if wanted && like(command.db_schema_filter_pattern.as_deref(), SCHEMA) {
        for name in names(site).await? {
            let table = name.sql_name();
            if !like(command.table_name_filter_pattern.as_deref(), &table) {
                continue;
            }
            let schema =
                if command.include_schema { current_schema(site, &name).await? } else { Some(Schema::empty()) };
            if let Some(schema) = schema {
                tables.append(CATALOG, SCHEMA, table, TABLE, &schema).map_err(answers::internal)?;
            }
        }
    }
    tables.build().map_err(answers::internal)
}

async fn current_schema(site: &Site, name: &DatasetName) -> Result<Option<Schema>, Problem> {
    let version = site.store.catalog.current_version(name).await.map_err(|error| problem_of_store(&error))?;
    Ok(version.map(|version| answers::plain(&version.manifest.schema).as_ref().clone()))
}

fn server_info(command: CommandGetSqlInfo) -> Result<RecordBatch, Problem> {
    let mut infos = SqlInfoDataBuilder::new();
    infos.append(SqlInfo::FlightSqlServerName, "Portico");
    infos.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    infos.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    infos.append(SqlInfo::FlightSqlServerReadOnly, true);
    infos.append(SqlInfo::FlightSqlServerSql, true);
    infos.append(SqlInfo::FlightSqlServerSubstrait, false);
    infos.append(SqlInfo::FlightSqlServerTransaction, i32::from(SqlSupportedTransaction::None));
    infos.append(SqlInfo::FlightSqlServerCancel, false);
    infos.append(SqlInfo::SqlDdlCatalog, false);
    infos.append(SqlInfo::SqlDdlSchema, false);
    infos.append(SqlInfo::SqlDdlTable, false);
    infos.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    infos.append(SqlInfo::SqlQuotedIdentifierCase, 3_i32);
    infos.append(SqlInfo::SqlIdentifierCase, 2_i32);
    let infos = infos.build().map_err(answers::internal)?;
    let mut codes = command.info;
    codes.truncate(INFO_CODES_MAX);
    infos.record_batch(codes).map_err(answers::internal)
}

fn foreign_keys() -> Result<RecordBatch, Problem> {
    let names = [
        "pk_catalog_name",
        "pk_db_schema_name",
        "pk_table_name",
        "pk_column_name",
        "fk_catalog_name",
        "fk_db_schema_name",
        "fk_table_name",
        "fk_column_name",
    ];
    empty(
        &names,
        &[
            ("key_sequence", DataType::Int32),
            ("fk_key_name", DataType::Utf8),
            ("pk_key_name", DataType::Utf8),
            ("update_rule", DataType::UInt8),
            ("delete_rule", DataType::UInt8),
        ],
    )
}

/// An answer without rows: text columns, then others.
fn empty(text: &[&str], others: &[(&str, DataType)]) -> Result<RecordBatch, Problem> {
    let text = text.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    let others = others.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    let schema = Arc::new(Schema::new(text.chain(others).collect::<Vec<_>>()));
    let columns: Vec<ArrayRef> =
        schema.fields().iter().map(|field| arrow::array::new_empty_array(field.data_type())).collect();
    RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new()).map_err(answers::internal)
}

/// SQL's LIKE without an escape: `%` is any text, `_` any character; no pattern matches everything. Greedy with one
/// step back, so that no pattern takes more than its length times the name's.
fn like(pattern: Option<&str>, name: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('%') => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(wanted) if *wanted == '_' || name.get(from) == Some(wanted) => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((after, tried)) => {
                    star = Some((after, tried + 1));
                    (at, from) = (after, tried + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::ProstMessageExt as _;
    use prost::Message as _;

    use super::*;

    #[test]
    fn any_pattern_is_matched_in_linear_time() {
        let check =
            |pattern: &str, name: &str, expect: bool| assert_eq!(like(Some(pattern), name), expect, "{pattern}");
        assert!(like(None, "parks"));
        check("parks", "parks", true);
        check("%", "", true);
        check("p%s", "parks", true);
        check("p__ks", "parks", true);
        check("p__k", "parks", false);
        check("%rk%", "parks", true);
        check("select * from parks where name like '%'", "parks", false);
        check("", "parks", false);
        check(&"%a".repeat(5_000), &"a".repeat(63), false);
        check("a.*(b", "parks", false);
    }

    #[test]
    fn the_server_says_what_it_is() {
        let all = server_info(CommandGetSqlInfo { info: vec![] }).unwrap();
        let some = server_info(CommandGetSqlInfo { info: vec![0, 3, 8] }).unwrap();
        assert!(all.num_rows() > 10);
        assert_eq!(some.num_rows(), 3);
        assert_eq!(foreign_keys().unwrap().num_columns(), 13);
    }

    #[test]
    fn a_command_is_its_own_ticket() {
        let command = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
        let any = arrow_flight::sql::Any::decode(&*command.as_any().encode_to_vec()).unwrap();
        assert!(matches!(Command::try_from(any), Ok(Command::CommandGetTables(read)) if read.include_schema));
    }
}
