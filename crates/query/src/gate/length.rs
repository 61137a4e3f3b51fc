//! What is refused for its length before a tree is made of it: a chain of operators is a tree as deep as it is long.
//!
//! The exact counts are taken on the syntax tree. Here is counted only what the tree has for certain, so that nothing is
//! refused that would pass there: where two operators may not hang together, the count begins anew.

use portico_model::limits::StatementLimits;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::expression::CHAIN_TERMS_MAX;
use super::fault::{Checked, too_complex};

/// Operators of a chain that may turn out to be something else: the `=` of an argument by name, the AND of a BETWEEN.
const SLACK: u64 = 8;

/// What a token means for the chains around it.
#[derive(Clone, Copy)]
enum Meaning {
    Open,
    Close,
    Value,
    /// What follows belongs to what is before it.
    Point,
    Or,
    And,
    Operator(Operator),
    /// It binds tighter than AND.
    Tighter,
    /// An expression may end here.
    End,
}

/// Operators between two values, those of one kind as strong as each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    PlusMinus,
    Times,
    Divide,
    Join,
    Equal,
}

/// Chains on one level of brackets.
#[derive(Default)]
struct Chains {
    /// Nothing binds less tightly: all of them are one chain.
    ors: u64,
    /// Likewise between two of those.
    ands: u64,
    /// The same operator with nothing but values between.
    same: u64,
    operator: Option<Operator>,
}

/// Refuses a statement whose syntax tree is over the cap of a chain or of nodes for certain.
///
/// # Errors
/// `QueryTooComplex` in the words of the walk over the tree.
pub(super) fn check(tokens: &[TokenWithSpan], limits: &StatementLimits) -> Checked {
    let (mut outside, mut chains) = (Vec::new(), Chains::default());
    let (mut longest, mut operators) = (0, 0_u64);
    let mut after_value = false;
    for token in tokens {
        let meaning = meaning(&token.token, after_value);
        match meaning {
            Meaning::Open => outside.push(std::mem::take(&mut chains)),
            Meaning::Close => chains = outside.pop().unwrap_or_default(),
            Meaning::Value | Meaning::Point => {}
            Meaning::Or => chains = Chains { ors: chains.ors + 1, ..Chains::default() },
            Meaning::And => chains = Chains { ors: chains.ors, ands: chains.ands + 1, ..Chains::default() },
            Meaning::Operator(operator) => {
                operators += u64::from(operator != Operator::Equal);
                chains.same = if chains.operator == Some(operator) { chains.same + 1 } else { 1 };
                chains.operator = Some(operator);
            }
            Meaning::Tighter => (chains.same, chains.operator) = (0, None),
            Meaning::End => chains = Chains::default(),
        }
        longest = longest.max(chains.ors).max(chains.ands).max(chains.same);
        after_value = matches!(meaning, Meaning::Value | Meaning::Close);
    }
    let chain_max = limits.chain_terms.min(CHAIN_TERMS_MAX);
    if longest > chain_max.saturating_add(SLACK) {
        return Err(too_complex("terms in one chain of operators", longest + 1, chain_max));
    }
    // Each is a node of its own, with another on its right.
    if operators.saturating_mul(2) > limits.nodes {
        return Err(too_complex("nodes in its syntax tree", limits.nodes.saturating_add(1), limits.nodes));
    }
    Ok(())
}

fn meaning(token: &Token, after_value: bool) -> Meaning {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Meaning::Open,
        Token::RParen | Token::RBracket | Token::RBrace => Meaning::Close,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => Meaning::Value,
        Token::Plus | Token::Minus if after_value => Meaning::Operator(Operator::PlusMinus),
        Token::Mul if after_value => Meaning::Operator(Operator::Times),
        Token::Div if after_value => Meaning::Operator(Operator::Divide),
        Token::StringConcat if after_value => Meaning::Operator(Operator::Join),
        Token::Eq if after_value => Meaning::Operator(Operator::Equal),
        Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq if after_value => Meaning::Tighter,
        Token::Period => Meaning::Point,
        Token::Plus | Token::Minus => Meaning::Tighter,
        Token::Word(word) if word.quote_style.is_some() => Meaning::Value,
        Token::Word(word) => match word.keyword {
            Keyword::NoKeyword => Meaning::Value,
            Keyword::OR => Meaning::Or,
            Keyword::AND => Meaning::And,
            Keyword::NOT | Keyword::IS | Keyword::NULL | Keyword::TRUE | Keyword::FALSE => Meaning::Tighter,
            _ => Meaning::End,
        },
        _ => Meaning::End,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_tokens, stack, text};
    use super::*;

    fn checked(sql: &str) -> Checked {
        let limits = StatementLimits::default();
        check(&text::tokens(sql, &limits).unwrap().tokens, &limits)
    }

    /// What the walk over the tree says of it.
    fn walked(sql: &str) -> Checked {
        let limits = StatementLimits::default();
        let tokens = text::tokens(sql, &limits).unwrap();
        stack::with_room(true, || parse_tokens(tokens, &limits)).map(|_| ())
    }

    #[test]
    fn what_is_refused_here_would_be_refused_there_in_the_same_words() {
        for sql in [
            format!("SELECT 1{}", "+1".repeat(20_000)),
            format!("SELECT 1{}", "-a.b".repeat(2_000)),
            format!("SELECT ''{}", "||''".repeat(10_000)),
            format!("SELECT a FROM t WHERE a{}", " AND (b OR c)".repeat(600)),
            format!("SELECT a FROM t WHERE a{}", " or not b".repeat(600)),
            format!("SELECT a FROM t WHERE (a{})", "*$1".repeat(600)),
            format!("SELECT a, f(1, 1{}), b", "/1".repeat(600)).replace('f', "concat"),
            vec![format!("1{}", "+1".repeat(400)); 27].join(",").replacen('1', "SELECT 1", 1),
        ] {
            let here = checked(&sql).unwrap_err();
            let there = walked(&sql).unwrap_err();
            assert_eq!((here.kind, &here.detail, here.position), (there.kind, &there.detail, there.position));
            assert_eq!(parse(&sql, &StatementLimits::default()).unwrap_err().detail, here.detail);
        }
    }

    #[test]
    fn what_is_not_one_chain_is_not_counted_as_one() {
        let many = |part: &str, by: &str, times: usize| vec![part; times].join(by);
        let sum = many("1", "+", 400);
        for sql in [
            format!("SELECT {}", many(&sum, ",", 20)),
            format!("SELECT {}", many(&format!("({sum})"), " * ", 20)),
            format!("SELECT a FROM t WHERE {}", many(&format!("a = {sum}"), " OR ", 20)),
            format!("SELECT a FROM t WHERE {}", many(&many("a", " AND ", 100), " OR ", 80)),
            format!("SELECT a FROM t WHERE {}", many("a BETWEEN 1 AND 2", " AND ", 450)),
            format!("SELECT CASE {} END FROM t", many(&format!("WHEN {} THEN 1", many("a", " OR ", 99)), " ", 50)),
            format!("SELECT 1 FROM t {}", many(&format!("JOIN t ON {}", many("a", " OR ", 99)), " ", 40)),
            format!("SELECT {0} WHERE {0} GROUP BY {0} HAVING {0} ORDER BY {0}", many("a", " OR ", 499)),
            format!("SELECT {}", many(&format!("{sum} UNION ALL SELECT 1"), " + ", 9)),
            format!("SELECT {}", many("- 1", " - ", 499)),
            format!("SELECT {}", many("count(*)", ", t.*, ", 400)),
        ] {
            assert!(checked(&sql).is_ok(), "{sql:.80}");
            assert!(walked(&sql).map_or_else(|problem| !problem.detail.contains("one chain"), |()| true), "{sql:.80}");
        }
    }
}
