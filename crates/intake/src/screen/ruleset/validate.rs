//! What a rule set must be.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CATEGORIES_MAX, Category, DISTINCT_MAX, Layout, PATTERNS_MAX, Plain, RULE_TEXT_BYTES_MAX, RULES_MAX, Rule, RuleSet,
    RuleSetError, WORDS_MAX,
};
use crate::dictionary::fold;

type Lists = BTreeMap<String, Vec<String>>;

pub(super) fn validated(layout: Layout) -> Result<RuleSet, RuleSetError> {
    let Layout { title, lists, mut rules, categories, classes } = layout;
    let set = |reason: String| Err(RuleSetError::Set(reason));
    if title.trim().is_empty() || title.len() > RULE_TEXT_BYTES_MAX {
        return set("they want a title".to_owned());
    }
    if rules.is_empty() {
        return set("there is no rule, so that nothing would be screened".to_owned());
    }
    if rules.len() > RULES_MAX || categories.len() > CATEGORIES_MAX {
        return set(format!("more than {RULES_MAX} rules or {CATEGORIES_MAX} categories"));
    }
    if rules.iter().filter(|rule| rule.pattern.is_some()).count() > PATTERNS_MAX {
        return set(format!("more than {PATTERNS_MAX} rules with a pattern"));
    }
    for (name, words) in &lists {
        check_words(words).map_err(|reason| RuleSetError::Entry { what: "list", id: name.clone(), reason })?;
    }
    let mut ids = BTreeSet::new();
    for rule in &mut rules {
        let checked = expand(rule, &lists).and_then(|()| check_rule(rule)).and_then(|()| unique(&mut ids, &rule.id));
        checked.map_err(|reason| RuleSetError::Entry { what: "rule", id: rule.id.clone(), reason })?;
    }
    ids.clear();
    for category in &categories {
        let checked = check_category(category).and_then(|()| unique(&mut ids, &category.id));
        checked.map_err(|reason| RuleSetError::Entry { what: "category", id: category.id.clone(), reason })?;
    }
    Ok(Plain { title, rules, categories, classes }.into())
}

fn unique(ids: &mut BTreeSet<String>, id: &str) -> Result<(), String> {
    if ids.insert(id.to_owned()) { Ok(()) } else { Err("the id is there twice".to_owned()) }
}

/// Puts the words of lists in the place of their names.
fn expand(rule: &mut Rule, lists: &Lists) -> Result<(), String> {
    for words in
        [&mut rule.columns, &mut rule.parts, &mut rule.named, &mut rule.unless, &mut rule.beside, &mut rule.near]
    {
        let mut all = Vec::new();
        for word in words.iter() {
            match word.strip_prefix('@') {
                Some(name) => all.extend(lists.get(name).ok_or(format!("there is no list {name:?}"))?.iter().cloned()),
                None => all.push(word.clone()),
            }
        }
        *words = all;
    }
    Ok(())
}

fn check_rule(rule: &Rule) -> Result<(), String> {
    check_texts(&rule.id, &rule.title, &rule.clause)?;
    for words in [&rule.columns, &rule.parts, &rule.named, &rule.unless, &rule.beside] {
        check_words(words)?;
    }
    if rule.parts.iter().any(|part| part.contains('_')) {
        return Err("`parts` are compared with names without underscores".to_owned());
    }
    if rule.near.len() > WORDS_MAX {
        return Err(format!("`near` has more than {WORDS_MAX} words"));
    }
    if rule.near.iter().any(|word| word.trim() != word || word.len() < 2 || word.len() > RULE_TEXT_BYTES_MAX) {
        return Err("words of `near` have at least two characters and no spaces around them".to_owned());
    }
    if rule.detector.is_some() && rule.pattern.is_some() {
        return Err("a rule has a `detector` or a `pattern`; make two rules".to_owned());
    }
    if rule.pattern.is_none() && (rule.checksum.is_some() || !rule.near.is_empty()) {
        return Err("`near` and `checksum` go with a `pattern`".to_owned());
    }
    if rule.is_of_columns() && rule.columns.is_empty() && rule.parts.is_empty() && rule.named.is_empty() {
        return Err("a rule looks at something: a `detector`, a `pattern`, or the names of `columns`".to_owned());
    }
    if !(1..=DISTINCT_MAX).contains(&rule.distinct) {
        return Err(format!("`distinct` is 1 to {DISTINCT_MAX}"));
    }
    if !(0.0..=1.0).contains(&rule.share) {
        return Err("`share` is 0 to 1".to_owned());
    }
    Ok(())
}

fn check_category(category: &Category) -> Result<(), String> {
    check_texts(&category.id, &category.title, &category.clause)
}

fn check_texts(id: &str, title: &str, clause: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
        return Err("an id has 1 to 64 lower-case letters, digits and underscores".to_owned());
    }
    for (key, text) in [("title", title), ("clause", clause)] {
        if text.trim().is_empty() || text.len() > RULE_TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(format!("`{key}` is one line of at most {RULE_TEXT_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

fn check_words(words: &[String]) -> Result<(), String> {
    if words.len() > WORDS_MAX {
        return Err(format!("a list has more than {WORDS_MAX} words"));
    }
    match words.iter().find(|word| word.len() > RULE_TEXT_BYTES_MAX || word.is_empty() || fold(word) != **word) {
        Some(word) => {
            Err(format!("{word:?} is compared with names in lower case with underscores: write {:?}", fold(word)))
        }
        None => Ok(()),
    }
}
