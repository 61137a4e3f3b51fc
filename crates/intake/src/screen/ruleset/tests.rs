//! What rule sets may say.

use super::*;

fn refused(rule: &str) -> String {
    let text = format!("title='X'\n[[rule]]\nid='r'\ntitle='things'\nclause='Code 1'\naction='block'\n{rule}");
    RuleSet::from_toml(&text).unwrap_err().to_string()
}

#[test]
fn the_built_in_rules_are_read_and_cite_their_clauses() {
    let rules = RuleSet::north_carolina();
    assert!(rules.rules().len() > 40 && rules.categories().len() == 8);
    for rule in rules.rules() {
        let cites = ["N.C.G.S.", "45 CFR", "18 U.S.C."].iter().any(|law| rule.clause.contains(law));
        assert!(cites && !rule.title.ends_with('.'), "{}", rule.id);
        let free = rule.clause.contains("not restricted by 132-1.10(b)(5)");
        assert!(!free || rule.action == Action::Warn, "{} blocks what the law does not restrict", rule.id);
    }
    for (detector, name) in Detector::ALL {
        assert!(rules.rules().iter().any(|rule| rule.detector == Some(*detector)), "{name} is not used");
        assert_eq!(serde_json::to_value(detector).unwrap(), *name);
    }
}

#[test]
fn every_item_of_the_statute_has_a_rule() {
    let rules = RuleSet::north_carolina();
    for item in 1..=14 {
        let (alone, joined) = (format!("14-113.20(b)({item})"), format!("({item})"));
        let found = rules.rules().iter().any(|rule| {
            rule.clause.contains(&alone) || rule.clause.contains("14-113.20(b)") && rule.clause.contains(&joined)
        });
        assert!(found, "no rule cites {alone}");
    }
}

#[test]
fn rules_survive_the_way_to_the_reader() {
    let rules = RuleSet::north_carolina();
    let json = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<RuleSet>(&json).unwrap(), rules);
}

#[test]
fn rules_that_contradict_themselves_are_refused_by_name() {
    for (rule, part) in [
        ("", "looks at something"),
        ("detector='us_ssn'\npattern='a'", "two rules"),
        ("detector='ssn'", "ssn"),
        ("detector='us_ssn'\nnear=['x y']", "`pattern`"),
        ("detector='us_ssn'\nchecksum='luhn'", "`pattern`"),
        ("pattern='('", "regular expression"),
        ("pattern='a*'", "empty text"),
        ("pattern='(a{1000}){1000}'", "regular expression"),
        ("pattern='a'\nnear=['x']", "at least two"),
        ("columns=['Last Name']", "last_name"),
        ("columns=['@people']", "no list"),
        ("parts=['last_name']", "underscores"),
        ("columns=['a']\nfits='number'", "fits"),
        ("columns=['a']\nshare=1.5", "share"),
        ("columns=['a']\ndistinct=0", "distinct"),
        ("columns=['a']\ndistinct=5000", "distinct"),
        ("columns=['a']\nseverity='x'", "severity"),
        ("columns=['a']\nalone='perhaps'", "perhaps"),
    ] {
        let message = refused(rule);
        assert!(message.contains(part), "{rule}: {message}");
    }
}

#[test]
fn sets_that_are_nothing_or_too_much_are_refused() {
    let rule = |number: usize| {
        format!("[[rule]]\nid='r{number}'\ntitle='t'\nclause='c'\naction='warn'\npattern='a{number}'\n")
    };
    let set = |count: usize| format!("title='X'\n{}", (0..count).map(rule).collect::<String>());
    assert!(RuleSet::from_toml(&set(PATTERNS_MAX)).is_ok());
    for (text, part) in [
        ("title='X'".to_owned(), "nothing would be screened"),
        (format!("title=' '\n{}", rule(1)), "title"),
        (format!("title='X'\n{}{}", rule(1), rule(1)), "twice"),
        (set(PATTERNS_MAX + 1), "pattern"),
        (format!("title='X'\ncolour=1\n{}", rule(1)), "colour"),
        (format!("title='X'\n[lists]\nwords=['A b']\n{}", rule(1)), "a_b"),
        (format!("title='{}'\n{}", "x".repeat(RULES_BYTES_MAX), rule(1)), "bytes"),
        (set(1).replace("'r0'", "'R-1'"), "lower-case"),
        (set(1).replace("clause='c'", "clause=''"), "clause"),
        (format!("{}[[category]]\nid='a'\ntitle='t'\nclause=''", set(1)), "category"),
    ] {
        let message = RuleSet::from_toml(&text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}
