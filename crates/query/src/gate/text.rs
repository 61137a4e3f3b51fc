//! The statement as text and tokens: size, characters, one statement only, nesting before anything recurses.

use std::collections::HashMap;

use portico_model::limits::StatementLimits;
use portico_model::problem::{Position, Problem, ProblemKind};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::fault::{Checked, at, from_tokenizer, invalid, not_allowed, place, quoted, too_complex};

/// Above this number of tokens a statement is handled on a thread with room to recurse.
const TOKENS_ON_CALLERS_STACK: usize = 100;

/// Above this number of levels and prefix operators, likewise: a level takes some 30 KiB of stack in debug builds.
const LEVELS_ON_CALLERS_STACK: u64 = 6;

/// Levels above the limit that are still parsed, so that the exact count is taken on the syntax tree.
const NESTING_SLACK: u64 = 10;

/// Bytes of a name: intake takes none that is longer for a column.
const NAME_BYTES_MAX: usize = 4_096;

/// The tokens of one statement, ready for the parser.
pub(super) struct Tokens {
    /// Tokens without whitespace and comments, without the trailing semicolon.
    pub(super) tokens: Vec<TokenWithSpan>,
    /// Table names that were followed by `FOR VERSION AS OF n`, by the place of their last part, with the name as
    /// it was written. Their tokens read `"name@n"` now.
    pub(super) versioned: HashMap<Location, Word>,
    /// Whether the statement needs room to recurse.
    pub(super) roomy: bool,
}

/// Checks a text and cuts it into the tokens of one statement.
///
/// # Errors
/// `TooLarge` over the limit of bytes, `InvalidSql` for text that is none, `StatementNotAllowed` for more than one
/// statement, `QueryTooComplex` for nesting that the parser should not even see.
pub(super) fn tokens(sql: &str, limits: &StatementLimits) -> Checked<Tokens> {
    let bytes = u64::try_from(sql.len()).unwrap_or(u64::MAX);
    if bytes > limits.text_bytes {
        let detail = format!("The statement has {bytes} bytes; the limit is {}.", limits.text_bytes);
        return Err(Problem::new(ProblemKind::TooLarge, detail));
    }
    let sql = sql.strip_prefix('\u{feff}').unwrap_or(sql);
    if sql.contains('\0') {
        return Err(invalid("The statement holds a NUL character."));
    }
    let all = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().map_err(|e| from_tokenizer(&e))?;
    let mut tokens = one_statement(all)?;
    check_names(&tokens)?;
    let levels = check_nesting(&tokens, limits)?;
    number_parameters(&mut tokens)?;
    let versioned = fold_versions(&mut tokens)?;
    let roomy = tokens.len() > TOKENS_ON_CALLERS_STACK || levels > LEVELS_ON_CALLERS_STACK;
    Ok(Tokens { tokens, versioned, roomy })
}

/// Where a name first stands in a statement, preferably in the same letters.
pub(super) fn place_of(name: &str, sql: &str) -> Option<Position> {
    let sql = sql.strip_prefix('\u{feff}').unwrap_or(sql);
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().ok()?;
    let words = || tokens.iter().filter_map(|token| Some((as_word(token)?, token.span.start)));
    let exact = words().find(|(word, _)| word.value == name);
    let place_found = exact.or_else(|| words().find(|(word, _)| word.value.eq_ignore_ascii_case(name)));
    place_found.and_then(|(_, location)| place(location))
}

fn as_word(token: &TokenWithSpan) -> Option<&Word> {
    match &token.token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

/// Refuses names that are longer than any that is stored: planning takes the square of their length.
fn check_names(tokens: &[TokenWithSpan]) -> Checked {
    match tokens.iter().filter_map(as_word).map(|word| word.value.len()).max() {
        Some(bytes) if bytes > NAME_BYTES_MAX => {
            let [bytes, maximum] = [bytes, NAME_BYTES_MAX].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
            Err(too_complex("bytes in one name", bytes, maximum))
        }
        _ => Ok(()),
    }
}

/// Drops whitespace and comments and the semicolons around the one statement.
fn one_statement(mut tokens: Vec<TokenWithSpan>) -> Checked<Vec<TokenWithSpan>> {
    let (mut begun, mut ended, mut another) = (false, false, None);
    // In place: there are as many tokens as bytes at worst, and each is far larger than a byte.
    tokens.retain(|token| match &token.token {
        Token::Whitespace(_) | Token::EOF => false,
        Token::SemiColon => {
            ended = begun;
            false
        }
        _ => {
            begun = true;
            if ended {
                another = another.or(Some(token.span.start));
            }
            true
        }
    });
    if let Some(location) = another {
        let problem = not_allowed("One statement at a time: there is another one after the semicolon.");
        return Err(at(problem, location));
    }
    if tokens.is_empty() {
        return Err(invalid("The statement is empty."));
    }
    Ok(tokens)
}

/// Refuses nesting of brackets, CASE, prefix operators and type arguments that is far above the limit; what lies
/// just above it is told apart on the syntax tree. Returns how deep the parser may recurse at most.
fn check_nesting(tokens: &[TokenWithSpan], limits: &StatementLimits) -> Checked<u64> {
    let limit = limits.nesting.saturating_add(NESTING_SLACK);
    let mut depth: u64 = 0;
    let mut prefixes: u64 = 0;
    let mut angles: u64 = 0;
    let (mut deepest, mut all_prefixes): (u64, u64) = (0, 0);
    for (index, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Lt if index > 0 && is_nested_type(tokens, index - 1) => angles += 1,
            Token::Gt => angles = angles.saturating_sub(1),
            Token::ShiftRight => angles = angles.saturating_sub(2),
            _ if is_word(token, Keyword::CASE) => depth += 1,
            _ if is_word(token, Keyword::END) => depth = depth.saturating_sub(1),
            _ => {}
        }
        prefixes = if is_prefix(tokens, index) { prefixes + 1 } else { 0 };
        all_prefixes += prefixes.min(1);
        let seen = depth.saturating_add(prefixes).saturating_add(angles);
        if seen > limit {
            return Err(at(too_complex("levels of nesting", seen, limits.nesting), token.span.start));
        }
        deepest = deepest.max(depth.saturating_add(angles));
    }
    Ok(deepest.saturating_add(all_prefixes))
}

/// Whether a token repeats a prefix (`NOT`, `-`, `ARRAY<`): the parser recurses on each.
fn is_prefix(tokens: &[TokenWithSpan], index: usize) -> bool {
    match tokens.get(index).map(|token| &token.token) {
        Some(Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark | Token::Lt | Token::AtSign) => true,
        Some(Token::Word(word)) if word.quote_style.is_none() => matches!(
            word.keyword,
            Keyword::NOT
                | Keyword::ARRAY
                | Keyword::STRUCT
                | Keyword::MAP
                | Keyword::PRIOR
                | Keyword::INTERVAL
                | Keyword::EXPLAIN
        ),
        _ => false,
    }
}

/// Whether a token names a type that has others within `<` and `>`.
fn is_nested_type(tokens: &[TokenWithSpan], index: usize) -> bool {
    let nested = [Keyword::ARRAY, Keyword::STRUCT, Keyword::MAP, Keyword::UNION];
    tokens.get(index).is_some_and(|token| nested.into_iter().any(|keyword| is_word(token, keyword)))
}

/// Numbers the parameters written `?`: the engine knows `$1`.
fn number_parameters(tokens: &mut [TokenWithSpan]) -> Checked {
    let is_numbered = |token: &TokenWithSpan| matches!(&token.token, Token::Placeholder(name) if name != "?");
    let numbered = tokens.iter().find(|token| is_numbered(token)).map(|token| token.span.start);
    let mut count: u64 = 0;
    for token in tokens {
        if token.token == Token::Question || matches!(&token.token, Token::Placeholder(name) if name == "?") {
            count += 1;
            token.token = Token::Placeholder(format!("${count}"));
        }
    }
    match numbered {
        Some(location) if count > 0 => {
            Err(at(invalid("Parameters are written ? or $1, not both in one statement."), location))
        }
        _ => Ok(()),
    }
}

/// Turns `name [FOR] VERSION AS OF 3` into `"name@3"`, remembering how the name was written.
fn fold_versions(tokens: &mut Vec<TokenWithSpan>) -> Checked<HashMap<Location, Word>> {
    let mut versioned = HashMap::new();
    if !tokens.iter().any(|token| is_word(token, Keyword::VERSION)) {
        return Ok(versioned);
    }
    let mut folded: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let Some((length, number)) = version_clause(tokens, index) else {
            folded.push(token.clone());
            index += 1;
            continue;
        };
        let Some(TokenWithSpan { token: Token::Word(word), span }) = folded.last_mut() else {
            return Err(at(invalid("VERSION AS OF follows the name of a dataset."), token.span.start));
        };
        if word.value.contains('@') {
            let written = quoted(&word.value);
            return Err(at(invalid(format!("{written} names a version already.")), token.span.start));
        }
        versioned.insert(span.start, word.clone());
        let name = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_ascii_lowercase() };
        *word = Word { value: format!("{name}@{number}"), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        index += length;
    }
    *tokens = folded;
    Ok(versioned)
}

/// The length in tokens of a version clause that starts here, and its number.
fn version_clause(tokens: &[TokenWithSpan], start: usize) -> Option<(usize, String)> {
    let with_for = usize::from(is_word(tokens.get(start)?, Keyword::FOR));
    for (offset, keyword) in [Keyword::VERSION, Keyword::AS, Keyword::OF].into_iter().enumerate() {
        if !is_word(tokens.get(start + with_for + offset)?, keyword) {
            return None;
        }
    }
    match &tokens.get(start + with_for + 3)?.token {
        Token::Number(number, false) => Some((with_for + 4, number.clone())),
        _ => None,
    }
}

/// Whether a token is this unquoted keyword.
pub(super) fn is_word(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}
