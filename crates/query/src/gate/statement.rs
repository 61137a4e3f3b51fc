//! Which statements there are, and which four of them are answered. No wildcard arm: a statement that a new version
//! of the parser learns does not compile until somebody has decided about it.

use sqlparser::ast::{
    DescribeAlias, ObjectName, Query, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions, Statement,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::fault::{Checked, at, not_allowed};
use super::names::{CATALOG, SCHEMA, normal_parts};
use super::text::is_word;

/// A statement that is answered.
pub(super) enum Shape {
    /// A query.
    Query(Box<Query>),
    /// `EXPLAIN` of a query.
    Explain(Box<Query>),
    /// `SHOW TABLES`.
    ShowTables(Option<NamePattern>),
    /// `SHOW COLUMNS FROM t`, `DESCRIBE t`.
    Describe(ObjectName, Option<NamePattern>),
}

/// The pattern of `SHOW … LIKE`.
pub(super) struct NamePattern {
    /// The pattern.
    pub(super) pattern: String,
    /// `ILIKE`.
    pub(super) any_case: bool,
}

/// Why a statement is refused.
#[derive(Clone, Copy)]
enum Reason {
    Data,
    Catalog,
    Session,
    Script,
    Rights,
    Files,
    Transaction,
    Prepared,
    Insides,
}

impl Reason {
    const fn text(self) -> &'static str {
        match self {
            Self::Data => "changes data",
            Self::Catalog => "changes the catalog",
            Self::Session => "changes settings",
            Self::Script => "belongs to scripts",
            Self::Rights => "changes who may do what",
            Self::Files => "reads or writes files",
            Self::Transaction => "belongs to transactions",
            Self::Prepared => "belongs to prepared statements",
            Self::Insides => "tells about the server",
        }
    }
}

/// What statements begin with that are refused whatever follows, whether or not the rest would parse.
const REFUSED_FIRST_WORDS: &[(&str, Reason)] = &[
    ("INSERT", Reason::Data),
    ("UPDATE", Reason::Data),
    ("DELETE", Reason::Data),
    ("MERGE", Reason::Data),
    ("TRUNCATE", Reason::Data),
    ("REPLACE", Reason::Data),
    ("UPSERT", Reason::Data),
    ("CREATE", Reason::Catalog),
    ("ALTER", Reason::Catalog),
    ("DROP", Reason::Catalog),
    ("RENAME", Reason::Catalog),
    ("COMMENT", Reason::Catalog),
    ("ANALYZE", Reason::Catalog),
    ("VACUUM", Reason::Catalog),
    ("OPTIMIZE", Reason::Catalog),
    ("REFRESH", Reason::Catalog),
    ("MSCK", Reason::Catalog),
    ("CACHE", Reason::Catalog),
    ("UNCACHE", Reason::Catalog),
    ("SET", Reason::Session),
    ("RESET", Reason::Session),
    ("USE", Reason::Session),
    ("PRAGMA", Reason::Session),
    ("DISCARD", Reason::Session),
    ("FLUSH", Reason::Session),
    ("KILL", Reason::Session),
    ("LISTEN", Reason::Session),
    ("UNLISTEN", Reason::Session),
    ("NOTIFY", Reason::Session),
    ("CALL", Reason::Script),
    ("EXEC", Reason::Script),
    ("DO", Reason::Script),
    ("DECLARE", Reason::Script),
    ("IF", Reason::Script),
    ("WHILE", Reason::Script),
    ("RAISE", Reason::Script),
    ("PRINT", Reason::Script),
    ("OPEN", Reason::Script),
    ("FETCH", Reason::Script),
    ("CLOSE", Reason::Script),
    ("GRANT", Reason::Rights),
    ("REVOKE", Reason::Rights),
    ("DENY", Reason::Rights),
    ("COPY", Reason::Files),
    ("LOAD", Reason::Files),
    ("UNLOAD", Reason::Files),
    ("EXPORT", Reason::Files),
    ("IMPORT", Reason::Files),
    ("INSTALL", Reason::Files),
    ("ATTACH", Reason::Files),
    ("DETACH", Reason::Files),
    ("PUT", Reason::Files),
    ("GET", Reason::Files),
    ("LIST", Reason::Files),
    ("REMOVE", Reason::Files),
    ("BEGIN", Reason::Transaction),
    ("START", Reason::Transaction),
    ("COMMIT", Reason::Transaction),
    ("END", Reason::Transaction),
    ("ROLLBACK", Reason::Transaction),
    ("ABORT", Reason::Transaction),
    ("SAVEPOINT", Reason::Transaction),
    ("RELEASE", Reason::Transaction),
    ("LOCK", Reason::Transaction),
    ("UNLOCK", Reason::Transaction),
    ("PREPARE", Reason::Prepared),
    ("EXECUTE", Reason::Prepared),
    ("DEALLOCATE", Reason::Prepared),
];

/// Refuses by the first words what no rest of the statement could make readable.
///
/// # Errors
/// `StatementNotAllowed` with the kind of statement and the reason.
pub(super) fn check_first_words(tokens: &[TokenWithSpan]) -> Checked {
    let Some(first) = tokens.first() else { return Ok(()) };
    let mut rest = tokens;
    if is_word(first, Keyword::EXPLAIN) {
        rest = tokens.get(1..).unwrap_or_default();
        check_explain_options(rest)?;
    } else if is_word(first, Keyword::SHOW) {
        check_show(tokens)?;
    }
    if rest.first().is_some_and(|token| is_word(token, Keyword::TABLE)) {
        return Err(at(not_allowed("Write SELECT * FROM the dataset instead of TABLE."), first.span.start));
    }
    let Some(TokenWithSpan { token: Token::Word(word), span }) = rest.first() else { return Ok(()) };
    let upper = word.value.to_ascii_uppercase();
    match REFUSED_FIRST_WORDS.iter().find(|(refused, _)| word.quote_style.is_none() && *refused == upper) {
        Some((refused, reason)) => Err(at(refused_for(refused, *reason), span.start)),
        None => Ok(()),
    }
}

fn check_explain_options(rest: &[TokenWithSpan]) -> Checked {
    let refuse = |token: &TokenWithSpan| {
        let detail = "EXPLAIN takes a query and no options: ANALYZE, VERBOSE and other options are not served.";
        Err(at(not_allowed(detail), token.span.start))
    };
    let Some(first) = rest.first() else { return Ok(()) };
    let options = [Keyword::ANALYZE, Keyword::VERBOSE, Keyword::FORMAT, Keyword::ESTIMATE, Keyword::EXPLAIN];
    if options.into_iter().any(|option| is_word(first, option)) {
        return refuse(first);
    }
    let in_brackets = rest.get(1).is_some_and(|second| {
        let words = [Keyword::SELECT, Keyword::WITH, Keyword::VALUES, Keyword::TABLE, Keyword::FROM];
        second.token == Token::LParen || words.into_iter().any(|word| is_word(second, word))
    });
    if first.token == Token::LParen && !in_brackets { refuse(first) } else { Ok(()) }
}

fn check_show(tokens: &[TokenWithSpan]) -> Checked {
    match tokens.get(1) {
        Some(second) if is_word(second, Keyword::TABLES) || is_word(second, Keyword::COLUMNS) => Ok(()),
        Some(second) => Err(at(only_two_shows(), second.span.start)),
        None => Err(only_two_shows()),
    }
}

/// Decides about a parsed statement.
///
/// # Errors
/// `StatementNotAllowed` with the kind of statement and the reason for all but four of them.
pub(super) fn shape(statement: Statement) -> Checked<Shape> {
    match statement {
        Statement::Query(query) => Ok(Shape::Query(query)),
        Statement::Explain {
            describe_alias: DescribeAlias::Explain,
            analyze: false,
            verbose: false,
            query_plan: false,
            estimate: false,
            statement,
            format: None,
            options: None,
        } => match *statement {
            Statement::Query(query) => Ok(Shape::Explain(query)),
            _ => Err(not_allowed("EXPLAIN takes a query.")),
        },
        Statement::Explain { describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, .. } => {
            Err(not_allowed("DESCRIBE takes the name of a dataset."))
        }
        Statement::Explain { .. } => Err(not_allowed("EXPLAIN takes a query and no options.")),
        Statement::ExplainTable { table_name, hive_format: None, describe_alias: _, has_table_keyword: _ } => {
            Ok(Shape::Describe(table_name, None))
        }
        Statement::ExplainTable { .. } => Err(not_allowed("DESCRIBE takes the name of a dataset and no options.")),
        Statement::ShowTables {
            terse: false,
            history: false,
            extended: false,
            full: false,
            external: false,
            show_options,
        } => show_tables(show_options),
        Statement::ShowTables { .. } => Err(not_allowed("SHOW TABLES takes LIKE and no other options.")),
        Statement::ShowColumns { extended: false, full: false, show_options } => show_columns(show_options),
        Statement::ShowColumns { .. } => Err(not_allowed("SHOW COLUMNS takes FROM a dataset and no other options.")),
        other => Err(refused(&other)),
    }
}

fn only_two_shows() -> portico_model::problem::Problem {
    not_allowed("Only SHOW TABLES and SHOW COLUMNS FROM a dataset are served.")
}

fn show_tables(options: ShowStatementOptions) -> Checked<Shape> {
    let ShowStatementOptions { show_in, starts_with: None, limit: None, limit_from: None, filter_position } = options
    else {
        return Err(not_allowed("SHOW TABLES takes LIKE and no other options."));
    };
    if let Some(show_in) = show_in {
        let schema = show_in.parent_name.as_ref().and_then(normal_parts).unwrap_or_default();
        let schema: Vec<&str> = schema.iter().map(String::as_str).collect();
        if !matches!(schema.as_slice(), [SCHEMA] | [CATALOG] | [CATALOG, SCHEMA]) {
            return Err(not_allowed("SHOW TABLES lists the datasets in the schema public, the only one."));
        }
    }
    Ok(Shape::ShowTables(pattern(filter_position)?))
}

fn show_columns(options: ShowStatementOptions) -> Checked<Shape> {
    let ShowStatementOptions { show_in, starts_with: None, limit: None, limit_from: None, filter_position } = options
    else {
        return Err(not_allowed("SHOW COLUMNS takes FROM a dataset and no other options."));
    };
    match show_in.and_then(|show_in| show_in.parent_name) {
        Some(table) => Ok(Shape::Describe(table, pattern(filter_position)?)),
        None => Err(not_allowed("SHOW COLUMNS needs FROM and the name of a dataset.")),
    }
}

fn pattern(position: Option<ShowStatementFilterPosition>) -> Checked<Option<NamePattern>> {
    let filter = match position {
        None => return Ok(None),
        Some(ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter)) => filter,
    };
    match filter {
        ShowStatementFilter::Like(pattern) => Ok(Some(NamePattern { pattern, any_case: false })),
        ShowStatementFilter::ILike(pattern) => Ok(Some(NamePattern { pattern, any_case: true })),
        ShowStatementFilter::Where(_) | ShowStatementFilter::NoKeyword(_) => {
            Err(not_allowed("SHOW filters with LIKE; for other conditions query information_schema."))
        }
    }
}

fn refused_for(kind: &str, reason: Reason) -> portico_model::problem::Problem {
    not_allowed(format!("{kind} {}; Portico answers read-only queries.", reason.text()))
}

/// The refusal of a statement that is not answered, with its kind.
fn refused(statement: &Statement) -> portico_model::problem::Problem {
    let (kind, reason) = kind_and_reason(statement);
    refused_for(kind, reason)
}

#[allow(clippy::too_many_lines, reason = "one arm per kind of statement, all of them listed")]
fn kind_and_reason(statement: &Statement) -> (&'static str, Reason) {
    match statement {
        // Answered in their plain forms; what comes here has options.
        Statement::Query(_) => ("This query", Reason::Data),
        Statement::Explain { .. } | Statement::ExplainTable { .. } => ("EXPLAIN", Reason::Insides),
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } => ("SHOW", Reason::Insides),

        Statement::Insert(_) => ("INSERT", Reason::Data),
        Statement::Update(_) => ("UPDATE", Reason::Data),
        Statement::Delete(_) => ("DELETE", Reason::Data),
        Statement::Merge(_) => ("MERGE", Reason::Data),
        Statement::Truncate(_) => ("TRUNCATE", Reason::Data),

        Statement::CreateView(_)
        | Statement::CreateTable(_)
        | Statement::CreateVirtualTable { .. }
        | Statement::CreateIndex(_)
        | Statement::CreateRole(_)
        | Statement::CreateSecret { .. }
        | Statement::CreateServer(_)
        | Statement::CreatePolicy(_)
        | Statement::CreateConnector(_)
        | Statement::CreateOperator(_)
        | Statement::CreateOperatorFamily(_)
        | Statement::CreateOperatorClass(_)
        | Statement::CreateExtension(_)
        | Statement::CreateCollation(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateDatabase { .. }
        | Statement::CreateFunction(_)
        | Statement::CreateTrigger(_)
        | Statement::CreateProcedure { .. }
        | Statement::CreateMacro { .. }
        | Statement::CreateStage { .. }
        | Statement::CreateSequence { .. }
        | Statement::CreateDomain(_)
        | Statement::CreateType { .. }
        | Statement::CreateUser(_) => ("CREATE", Reason::Catalog),

        Statement::AlterTable(_)
        | Statement::AlterSchema(_)
        | Statement::AlterIndex { .. }
        | Statement::AlterView { .. }
        | Statement::AlterFunction(_)
        | Statement::AlterType(_)
        | Statement::AlterCollation(_)
        | Statement::AlterOperator(_)
        | Statement::AlterOperatorFamily(_)
        | Statement::AlterOperatorClass(_)
        | Statement::AlterRole { .. }
        | Statement::AlterPolicy(_)
        | Statement::AlterConnector { .. }
        | Statement::AlterUser(_)
        | Statement::RenameTable(_) => ("ALTER", Reason::Catalog),

        Statement::Drop { .. }
        | Statement::DropFunction(_)
        | Statement::DropDomain(_)
        | Statement::DropProcedure { .. }
        | Statement::DropSecret { .. }
        | Statement::DropPolicy(_)
        | Statement::DropConnector { .. }
        | Statement::DropExtension(_)
        | Statement::DropOperator(_)
        | Statement::DropOperatorFamily(_)
        | Statement::DropOperatorClass(_)
        | Statement::DropTrigger(_) => ("DROP", Reason::Catalog),

        Statement::Analyze(_) => ("ANALYZE", Reason::Catalog),
        Statement::Vacuum(_) => ("VACUUM", Reason::Catalog),
        Statement::OptimizeTable { .. } => ("OPTIMIZE", Reason::Catalog),
        Statement::Msck(_) => ("MSCK", Reason::Catalog),
        Statement::Comment { .. } => ("COMMENT", Reason::Catalog),
        Statement::Cache { .. } => ("CACHE", Reason::Catalog),
        Statement::UNCache { .. } => ("UNCACHE", Reason::Catalog),

        Statement::Set(_) => ("SET", Reason::Session),
        Statement::Reset(_) => ("RESET", Reason::Session),
        Statement::Use(_) => ("USE", Reason::Session),
        Statement::Pragma { .. } => ("PRAGMA", Reason::Session),
        Statement::AlterSession { .. } => ("ALTER SESSION", Reason::Session),
        Statement::Discard { .. } => ("DISCARD", Reason::Session),
        Statement::Flush { .. } => ("FLUSH", Reason::Session),
        Statement::Kill { .. } => ("KILL", Reason::Session),
        Statement::LISTEN { .. } => ("LISTEN", Reason::Session),
        Statement::UNLISTEN { .. } => ("UNLISTEN", Reason::Session),
        Statement::NOTIFY { .. } => ("NOTIFY", Reason::Session),

        Statement::Call(_) => ("CALL", Reason::Script),
        Statement::Case(_) => ("CASE", Reason::Script),
        Statement::If(_) => ("IF", Reason::Script),
        Statement::While(_) => ("WHILE", Reason::Script),
        Statement::Raise(_) | Statement::RaisError { .. } => ("RAISE", Reason::Script),
        Statement::Throw(_) => ("THROW", Reason::Script),
        Statement::Print(_) => ("PRINT", Reason::Script),
        Statement::WaitFor(_) => ("WAITFOR", Reason::Script),
        Statement::Return(_) => ("RETURN", Reason::Script),
        Statement::Declare { .. } => ("DECLARE", Reason::Script),
        Statement::Open(_) => ("OPEN", Reason::Script),
        Statement::Fetch { .. } => ("FETCH", Reason::Script),
        Statement::Close { .. } => ("CLOSE", Reason::Script),
        Statement::Assert { .. } => ("ASSERT", Reason::Script),

        Statement::Grant(_) => ("GRANT", Reason::Rights),
        Statement::Revoke(_) => ("REVOKE", Reason::Rights),
        Statement::Deny(_) => ("DENY", Reason::Rights),

        Statement::Copy { .. } | Statement::CopyIntoSnowflake { .. } => ("COPY", Reason::Files),
        Statement::Directory { .. } => ("INSERT OVERWRITE DIRECTORY", Reason::Files),
        Statement::LoadData { .. } | Statement::Load { .. } => ("LOAD", Reason::Files),
        Statement::Unload { .. } => ("UNLOAD", Reason::Files),
        Statement::ExportData(_) => ("EXPORT", Reason::Files),
        Statement::Install { .. } => ("INSTALL", Reason::Files),
        Statement::AttachDatabase { .. } | Statement::AttachDuckDBDatabase { .. } => ("ATTACH", Reason::Files),
        Statement::DetachDuckDBDatabase { .. } => ("DETACH", Reason::Files),
        Statement::List(_) => ("LIST", Reason::Files),
        Statement::Remove(_) => ("REMOVE", Reason::Files),

        Statement::StartTransaction { .. } => ("BEGIN", Reason::Transaction),
        Statement::Commit { .. } => ("COMMIT", Reason::Transaction),
        Statement::Rollback { .. } => ("ROLLBACK", Reason::Transaction),
        Statement::Savepoint { .. } | Statement::ReleaseSavepoint { .. } => ("SAVEPOINT", Reason::Transaction),
        Statement::Lock(_) | Statement::LockTables { .. } => ("LOCK", Reason::Transaction),
        Statement::UnlockTables => ("UNLOCK", Reason::Transaction),

        Statement::Prepare { .. } => ("PREPARE", Reason::Prepared),
        Statement::Execute { .. } => ("EXECUTE", Reason::Prepared),
        Statement::Deallocate { .. } => ("DEALLOCATE", Reason::Prepared),

        Statement::ShowFunctions { .. }
        | Statement::ShowVariable { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowCatalogs { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowProcessList { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowCharset(_)
        | Statement::ShowObjects(_)
        | Statement::ShowViews { .. }
        | Statement::ShowCollation { .. } => ("SHOW", Reason::Insides),
    }
}
