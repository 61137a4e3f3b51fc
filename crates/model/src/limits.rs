//! Every limit in one place, with its unit and the reason for its default.
//!
//! The operator changes them in the `[limits]` tables of the configuration; `GET /api/limits` shows those
//! that concern the public. What exceeds a limit is refused and named, never cut.

use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// All limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// What a statement may look like.
    pub statement: StatementLimits,
    /// What answering may cost.
    pub query: QueryLimits,
    /// Connections, headers and bodies.
    pub http: HttpLimits,
    /// Files that staff bring in.
    pub intake: IntakeLimits,
    /// What staff may do over the network.
    pub staff: StaffLimits,
    /// What the public may ask to have published.
    pub requests: RequestLimits,
    /// What the team may write on the portal's own pages.
    pub pages: PageLimits,
    /// Releases at a time that was set.
    pub schedule: ScheduleLimits,
    /// What is read by itself from elsewhere.
    pub sources: SourceLimits,
}

/// What a statement may look like, checked on its syntax tree before anything plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatementLimits {
    /// Bytes of a statement in a URL: what proxies pass on.
    pub text_bytes_get: u64,
    /// Bytes of a statement in a body or a Flight call.
    pub text_bytes: u64,
    /// Nodes of the syntax tree, with all that its names stand for written out as the planner writes it: planning
    /// time grows with them.
    pub nodes: u64,
    /// Terms of one flat chain of operators: 1,000 terms plan in 0.9 s, 5,000 in over 15 s.
    pub chain_terms: u64,
    /// Levels of nesting.
    pub nesting: u64,
    /// Relations after every use of a common table expression is counted: 20 doublings cost 3 GB of planning.
    /// As many queries may stand behind one another: every one makes the plan deeper.
    pub relations: u64,
    /// Arms of set operations.
    pub union_arms: u64,
    /// Expressions in one select list.
    pub projected_columns: u64,
    /// Members of one IN list.
    pub list_members: u64,
    /// Rows of one VALUES list.
    pub values_rows: u64,
    /// Grouping sets after expansion: a cube of 20 columns is a million.
    pub grouping_sets: u64,
    /// Bytes of one literal.
    pub literal_bytes: u64,
    /// Parameters of one statement.
    pub parameters: u64,
}

impl Default for StatementLimits {
    fn default() -> Self {
        Self {
            text_bytes_get: 16 * KIB,
            text_bytes: 64 * KIB,
            nodes: 20_000,
            chain_terms: 500,
            nesting: 40,
            relations: 64,
            union_arms: 100,
            projected_columns: 500,
            list_members: 10_000,
            values_rows: 1_000,
            grouping_sets: 64,
            literal_bytes: 32 * KIB,
            parameters: 256,
        }
    }
}

/// What answering may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryLimits {
    /// Worker processes; each answers one question at a time. `0` means two per core, at least four.
    pub workers: u64,
    /// Worker processes beyond those. One is warm when another has ended; the others answer the small questions of others
    /// while slow ones have all workers: with none of them, everybody waits for the slow ones. Each may take as much memory as
    /// any other worker.
    pub spare_workers: u64,
    /// Wall time before the first row, in milliseconds.
    pub first_byte_ms: u64,
    /// CPU time of a worker on one question that aggregates, joins or sorts, in milliseconds.
    pub cpu_ms: u64,
    /// Wall time of a whole answer, in milliseconds: a plain scan streams for as long as its client reads.
    pub total_ms: u64,
    /// Bytes of one answer.
    pub answer_bytes: u64,
    /// Bytes of one row of an answer over Flight: it is one message, and the server holds some of them for each client that
    /// does not read. The largest cell that intake takes and the rest of its row have room; files are cut anywhere.
    pub flight_row_bytes: u64,
    /// Memory of one worker process, in bytes, kept by the kernel and by the watcher in the server.
    pub worker_memory_bytes: u64,
    /// Memory that the operators of one plan may reserve, in bytes: the rest is for what is not counted.
    pub pool_memory_bytes: u64,
    /// Spill files of one worker, in bytes.
    pub spill_bytes: u64,
    /// How long a statement that ended two workers is refused, in minutes; `0` never refuses one. It would end the
    /// third in the same way, and each takes memory and processor time from everybody else.
    pub deadly_minutes: u64,
    /// Questions running at once for one address block (IPv4 address, IPv6 /64).
    pub running_per_address: u64,
    /// Questions waiting for one address block.
    pub waiting_per_address: u64,
    /// Questions waiting in all.
    pub waiting: u64,
    /// Longest wait in the queue, in milliseconds.
    pub queue_wait_ms: u64,
    /// Slowest reader of an answer that a worker is held for, in bytes a second.
    pub reader_bytes_per_s: u64,
    /// Work that one address block may have done for ever, in milliseconds of a worker a second: one worker. 0 is no
    /// limit.
    pub work_ms_per_s: u64,
    /// Work that it may have done beyond that before it waits, in milliseconds: two minutes of a second worker.
    pub work_burst_ms: u64,
    /// Bytes of spooled exports on disk, at least 8 KiB for each; the oldest go first.
    pub spool_bytes: u64,
    /// Spooled exports on disk: two files each, all listed when the oldest make room.
    pub spool_exports: u64,
    /// How often answers under way look whether what they are made from was withdrawn, in milliseconds: one small
    /// question to the catalog for all of them.
    pub withdrawal_ms: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            workers: 0,
            spare_workers: 3,
            first_byte_ms: 30_000,
            cpu_ms: 30_000,
            total_ms: 3_600_000,
            answer_bytes: 10 * GIB,
            flight_row_bytes: 18 * MIB,
            worker_memory_bytes: GIB,
            pool_memory_bytes: 512 * MIB,
            spill_bytes: 4 * GIB,
            deadly_minutes: 10,
            running_per_address: 2,
            waiting_per_address: 16,
            waiting: 256,
            queue_wait_ms: 30_000,
            reader_bytes_per_s: 16 * KIB,
            work_ms_per_s: 1_000,
            work_burst_ms: 120_000,
            spool_bytes: 32 * GIB,
            spool_exports: 50_000,
            withdrawal_ms: 1_000,
        }
    }
}

/// Connections, headers and bodies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Connections open at once.
    pub connections: u64,
    /// Connections open at once from one address; 0 is no limit. Trusted proxies have none. While more than half of all
    /// places are taken, no more than a quarter of those that are free.
    pub connections_per_address: u64,
    /// Requests a second from one address block: an office behind one address, or one reader of a large file in
    /// ranges. 0 is no limit.
    pub requests_per_s: u64,
    /// Requests at once from one address block: a page with its parts for each of a hundred readers, or a scan of
    /// many small ranges.
    pub requests_burst: u64,
    /// Requests under way at once from one address block: HTTP/2 shall not multiply what its connections may hold. 0
    /// is no limit.
    pub requests_per_address: u64,
    /// Time for a request's headers, in milliseconds.
    pub header_ms: u64,
    /// Time for a request's body, in milliseconds: a statement of the longest in a tenth of it, over a modem.
    pub body_ms: u64,
    /// Time that a connection may stay without a request, in milliseconds.
    pub idle_ms: u64,
    /// Bytes of a request's address with its query string: a statement of the longest, escaped.
    pub uri_bytes: u64,
    /// Bytes of all headers of a request, the address included.
    pub header_bytes: u64,
    /// Headers of a request.
    pub headers: u64,
    /// Bytes of a request's body, statements and parameters included.
    pub body_bytes: u64,
    /// HTTP/2 streams of one connection.
    pub streams: u64,
    /// Time for requests under way when the server stops, in milliseconds.
    pub grace_ms: u64,
    /// Datasets, or versions of one, on one page of a listing.
    pub page_rows: u64,
    /// Comments on annual reports from one address block in an hour: a family, or an office. 0 is no limit.
    pub comments_per_hour: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            connections_per_address: 256,
            requests_per_s: 200,
            requests_burst: 2_000,
            requests_per_address: 256,
            header_ms: 10_000,
            body_ms: 12_000,
            idle_ms: 60_000,
            uri_bytes: 24 * KIB,
            header_bytes: 32 * KIB,
            headers: 100,
            body_bytes: MIB,
            streams: 128,
            grace_ms: 10_000,
            page_rows: 100,
            comments_per_hour: 20,
        }
    }
}

/// Files that staff bring in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeLimits {
    /// Bytes of a file as it comes.
    pub file_bytes: u64,
    /// Bytes of a file after decompression.
    pub unpacked_bytes: u64,
    /// How many times larger a compressed file may become.
    pub unpacked_ratio: u64,
    /// Columns of a table: Parquet footers grow with columns times row groups.
    pub columns: u64,
    /// Bytes of one cell.
    pub cell_bytes: u64,
    /// Bytes of one row.
    pub row_bytes: u64,
    /// Nesting of JSON.
    pub depth: u64,
    /// Memory for profiling and sorting, in bytes; beyond it intake spills to disk.
    pub memory_bytes: u64,
    /// Bytes of a workbook when unpacked: its reader holds a sheet in memory.
    pub workbook_bytes: u64,
    /// Bytes of a Parquet file's footer: in memory it is about ten times as large.
    pub footer_bytes: u64,
    /// Memory of the process that reads a file, in bytes, kept by the kernel and by a watcher: `memory_bytes`, and the
    /// rest for a workbook, a row or a batch, and the files that are being written.
    pub reader_memory_bytes: u64,
    /// Processor time for reading a file, in milliseconds, however small it is.
    pub reader_cpu_ms: u64,
    /// Processor time for each MiB of a file as it comes, where that is more: reading a MiB of CSV twice takes some 50 ms,
    /// and a compressed one holds ten or twenty.
    pub reader_cpu_ms_per_mib: u64,
    /// Wall time for reading a file, in milliseconds, however small it is.
    pub reader_wall_ms: u64,
    /// Wall time for each MiB of a file as it comes, where that is more: the disk and other readers have their share.
    pub reader_wall_ms_per_mib: u64,
    /// Rows that staff may look at before a release: a screenful or two to judge by.
    pub preview_rows: u64,
    /// Bytes of these rows as JSON; where rows are wide there are fewer.
    pub preview_bytes: u64,
    /// Rows that are shown of each kind of difference to the current version (added, removed, changed), within
    /// `preview_bytes` in all: all of them are counted, and some are enough to see what they have in common.
    pub difference_rows: u64,
    /// Rows that agree in all quasi-identifiers at least, and rows of a group of people whose size is told, where the data
    /// dictionary says no other number: what small-cell rules of health departments ask for lies between 5 and 11.
    pub class_rows: u64,
    /// Bytes of one expression of a data dictionary (`keep_rows`, `derive`): a page of SQL. Planning takes longer than what
    /// is planned grows.
    pub expression_bytes: u64,
    /// Columns that a data dictionary may make of others (`derive`, `label_of`): each is computed for every row, twice where
    /// classes of rows are suppressed.
    pub derived_columns: u64,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            file_bytes: 256 * GIB,
            unpacked_bytes: 1024 * GIB,
            unpacked_ratio: 200,
            columns: 2_000,
            cell_bytes: 16 * MIB,
            row_bytes: 64 * MIB,
            depth: 64,
            memory_bytes: 384 * MIB,
            workbook_bytes: 256 * MIB,
            footer_bytes: 16 * MIB,
            reader_memory_bytes: GIB,
            reader_cpu_ms: 60_000,
            reader_cpu_ms_per_mib: 1_000,
            reader_wall_ms: 180_000,
            reader_wall_ms_per_mib: 3_000,
            preview_rows: 100,
            preview_bytes: MIB,
            difference_rows: 20,
            class_rows: 5,
            expression_bytes: 4 * KIB,
            derived_columns: 100,
        }
    }
}

/// What staff may do over the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaffLimits {
    /// Bytes of an uploaded file: each lies on the server's disk until it is in staging. The command line on the server
    /// itself takes files of up to `intake.file_bytes`.
    pub upload_bytes: u64,
    /// Longest silence in an upload, in milliseconds.
    pub upload_idle_ms: u64,
    /// Uploads under way at once; each may fill the disk with `upload_bytes`.
    pub uploads: u64,
    /// Files being read at once; each takes a process with `intake.reader_memory_bytes`.
    pub screenings: u64,
    /// Longest life of a token, in days: a forgotten one ends within a year.
    pub token_days: u64,
    /// Longest life of a session at a browser, in hours: a working day. A group that somebody leaves at the identity
    /// provider counts from their next sign-in, so this is how late that may be.
    pub session_hours: u64,
    /// How long a session may lie unused, in minutes: a meeting.
    pub session_idle_minutes: u64,
    /// How long a one-time sign-in link is good, in minutes: as long as it takes to hand it over.
    pub link_minutes: u64,
    /// Exchanges with the identity provider under way at once: each may wait for it for some seconds, and anybody may
    /// begin one, so that they take neither the server's connections nor the provider's patience.
    pub signins: u64,
}

impl Default for StaffLimits {
    fn default() -> Self {
        Self {
            upload_bytes: 16 * GIB,
            upload_idle_ms: 30_000,
            uploads: 4,
            screenings: 2,
            token_days: 366,
            session_hours: 8,
            session_idle_minutes: 60,
            link_minutes: 15,
            signins: 16,
        }
    }
}

/// What the public may ask to have published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// Characters of the line that says what is asked for, of the department and of the address: a line.
    pub title_chars: u64,
    /// Characters of the details, and of the answer: a page.
    pub details_chars: u64,
    /// Requests for data in an hour from one address block: a class of pupils, and no flood. 0 is no limit.
    pub per_address_hour: u64,
    /// Requests that wait to be read: beyond that nobody would.
    pub unread: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { title_chars: 200, details_chars: 4_000, per_address_hour: 10, unread: 1_000 }
    }
}

/// What the team may write on the portal's own pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageLimits {
    /// Characters of a heading: a line.
    pub heading_chars: u64,
    /// Bytes of a page: some twenty sheets of paper, rendered anew for each reader.
    pub page_bytes: u64,
    /// Texts of each page that are kept, the current one included: years of edits. Older ones go, and the audit log has their
    /// digests.
    pub page_versions: u64,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { heading_chars: 200, page_bytes: 64 * KIB, page_versions: 500 }
    }
}

/// Releases at a time that was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleLimits {
    /// How far ahead a release may be scheduled, in days: beyond two years it is a slip of the pen.
    pub days_ahead: u64,
    /// Times that a release which fails is tried before it waits for people; the waits between them come to half a day.
    pub tries: u64,
    /// Wait before it is tried again, in milliseconds; twice as long each time.
    pub retry_ms: u64,
    /// Longest such wait, in milliseconds.
    pub retry_max_ms: u64,
    /// Releases that wait for their time at once: each is a screened file in staging.
    pub waiting: u64,
}

impl Default for ScheduleLimits {
    fn default() -> Self {
        Self { days_ahead: 732, tries: 17, retry_ms: 60_000, retry_max_ms: 3_600_000, waiting: 1_000 }
    }
}

/// What is read by itself from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceLimits {
    /// Bytes of what a source gives: it lies on the server's disk until it is in staging.
    pub fetch_bytes: u64,
    /// Rows of a query to a database.
    pub query_rows: u64,
    /// Time for finding and reaching a server, in milliseconds.
    pub connect_ms: u64,
    /// Longest silence of a server, in milliseconds.
    pub idle_ms: u64,
    /// Time for all that a source gives, in milliseconds: 4 GiB at 2 MiB a second.
    pub fetch_ms: u64,
    /// Redirections that are followed.
    pub redirects: u64,
    /// Time for one run with all its steps, in milliseconds.
    pub run_ms: u64,
    /// Sources that are read one after the other before the server looks again which are due.
    pub runs: u64,
    /// Runs in a row that may fail before people are told and the next time of the cycle is waited for.
    pub attempts: u64,
    /// Wait before a run that failed is tried again, in milliseconds; twice as long each time.
    pub retry_ms: u64,
    /// Longest such wait, in milliseconds.
    pub retry_max_ms: u64,
    /// Runs of a dataset that are remembered: three months of daily ones.
    pub history: u64,
    /// Bytes of a declaration.
    pub declaration_bytes: u64,
    /// Tries to send a notice before it is given up: with waits that double from a minute, a day.
    pub notice_attempts: u64,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            fetch_bytes: 4 * GIB,
            query_rows: 100_000_000,
            connect_ms: 10_000,
            idle_ms: 30_000,
            fetch_ms: 2_048_000,
            redirects: 5,
            run_ms: 3_600_000,
            runs: 8,
            attempts: 5,
            retry_ms: 60_000,
            retry_max_ms: 3_600_000,
            history: 100,
            declaration_bytes: 64 * KIB,
            notice_attempts: 11,
        }
    }
}
