//! The query string, read strictly: what a request says twice, wrongly or in vain is refused, never guessed.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use portico_model::problem::ProblemKind;

use crate::problem::Refusal;

/// Parameters of one request at most: those of a statement and a few of ours.
const PARAMETERS_MAX: usize = 300;

/// The parameters that a handler has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads `a=1&b=two`: `+` and `%20` are spaces, `%XX` has to be UTF-8, a name may stand once.
    pub(crate) fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if parameters.len() == PARAMETERS_MAX {
                return Err(invalid(format!("There are more than {PARAMETERS_MAX} parameters.")));
            }
            if parameters.insert(name.clone(), value).is_some() {
                return Err(invalid(format!("The parameter {} stands there twice.", quote(&name))));
            }
        }
        Ok(Self(parameters))
    }

    /// Takes one parameter, as text.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a parameter that is not empty: `q=` from an untouched form field means nothing.
    pub(crate) fn take_filled(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Takes a parameter that is a whole number.
    pub(crate) fn take_number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.map(Some).ok_or_else(|| invalid(format!("The parameter {name} has to be a whole number, 0 or more.")))
    }

    /// Takes a parameter that is `true` or `false`.
    pub(crate) fn take_bool(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.take(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid(format!("The parameter {name} is either true or false."))),
        }
    }

    /// Takes every parameter whose name begins with `prefix`, without the prefix.
    pub(crate) fn take_prefixed(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let names: Vec<String> = self.0.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let taken = names.into_iter().filter_map(|name| {
            let value = self.0.remove(&name)?;
            Some((name.strip_prefix(prefix)?.to_owned(), value))
        });
        taken.collect()
    }

    /// Ends the reading: whatever nobody took is unknown, and named, with what is known.
    pub(crate) fn finish(self, known: &str) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.0.keys().take(5).map(|name| quote(name)).collect();
        let names = names.join(", ");
        let known = if known.is_empty() { "none is known here".to_owned() } else { format!("known here: {known}") };
        Err(invalid(format!("Unknown parameter: {names} ({known}).")))
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

fn invalid(detail: String) -> Refusal {
    Refusal::new(ProblemKind::InvalidRequest, detail)
}

/// A name as a client wrote it, short and without control characters.
fn quote(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("'{shown}'")
}

fn decode(text: &str) -> Result<String, Refusal> {
    let wrong = || invalid("The query string is not percent-encoded UTF-8.".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = rest.next().and_then(hex_digit).ok_or_else(wrong)?;
                let low = rest.next().and_then(hex_digit).ok_or_else(wrong)?;
                high * 16 + low
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    if text.contains('\0') {
        return Err(invalid("The query string holds a NUL character.".to_owned()));
    }
    Ok(text)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded() {
        let mut parameters = Parameters::parse("q=a+b%20c%2B%C3%A9&flag&x=a=b").unwrap();
        assert_eq!(parameters.take("q").unwrap(), "a b c+é");
        assert_eq!(parameters.take("flag").unwrap(), "");
        assert_eq!(parameters.take("x").unwrap(), "a=b");
        assert!(parameters.take("x").is_none());
        parameters.finish("").unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "a=1&a=2", "a=%C0%AF"] {
            assert!(Parameters::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_names_are_told() {
        let mut parameters = Parameters::parse("limit=5&lmit=3&%0a=1").unwrap();
        assert_eq!(parameters.take_number::<u64>("limit").unwrap(), Some(5));
        let refusal = parameters.finish("limit, offset").unwrap_err();
        assert_eq!(refusal.detail(), "Unknown parameter: '', 'lmit' (known here: limit, offset).");
    }

    #[test]
    fn numbers_and_booleans_are_plain() {
        for bad in ["-1", "+1", "1e9", "", "1.0", "99999999999999999999999"] {
            let mut parameters = Parameters::parse(&format!("n={bad}").replace('+', "%2B")).unwrap();
            assert!(parameters.take_number::<u64>("n").is_err(), "{bad}");
        }
        let mut parameters = Parameters::parse("a=true&b=1").unwrap();
        assert_eq!(parameters.take_bool("a").unwrap(), Some(true));
        assert!(parameters.take_bool("b").is_err());
    }
}
