//! Markdown as it stands in a page: CommonMark with tables. HTML in it is text like any other, links lead only where a reader
//! expects a link to lead, and there are no pictures, which the policy of the pages would not load from elsewhere.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Renders a text. The page has a heading already, so that headings begin at the second level.
pub(super) fn html(text: &str) -> String {
    // Of the links that are open: whether they are written.
    let mut open = Vec::new();
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let written = leads_somewhere(&dest_url);
            open.push(written);
            written.then_some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::End(TagEnd::Link) => open.pop().unwrap_or(false).then_some(Event::End(TagEnd::Link)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Heading { level, .. }) => {
            let (id, classes, attrs) = (None, Vec::new(), Vec::new());
            Some(Event::Start(Tag::Heading { level: lower(level), id, classes, attrs }))
        }
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
        other => Some(other),
    });
    let mut written = String::with_capacity(text.len() + text.len() / 4);
    html::push_html(&mut written, events);
    written
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    if level == HeadingLevel::H1 { HeadingLevel::H2 } else { level }
}

/// Whether a link is to the web, to a mailbox, or to a place of this site.
fn leads_somewhere(url: &str) -> bool {
    // Browsers take a backslash for a slash, and pass over blanks and control characters.
    if url.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace()) || url.starts_with("//") {
        return false;
    }
    let path = url.find(['/', '?', '#']).unwrap_or(url.len());
    match url.split_once(':') {
        Some((scheme, _)) if scheme.len() < path => {
            ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_rendered_below_the_heading_of_the_page() {
        let page = html("# Data\n\n- *one*\n- **two** `a<b`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
        assert!(page.starts_with("<h2>Data</h2>\n<ul>\n<li><em>one</em></li>"), "{page}");
        assert!(page.contains("<strong>two</strong> <code>a&lt;b</code>"), "{page}");
        assert!(page.contains("<th>a</th>") && page.contains("<td>2</td>"), "{page}");
    }

    #[test]
    fn html_in_a_text_is_text() {
        for text in [
            "<script>alert(1)</script>",
            "<div onclick=x>\n<img src=x onerror=alert(1)>\n</div>",
            "so <b onmouseover=x>bold</b> and <!-- not --> this",
            "- <style>body{}</style>\n- <iframe src=//evil.example>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "| <svg onload=x> |\n|---|\n| <object> |",
            "# <base href=//evil.example>",
            "```<x>\n</code><script>\n```",
            "&lt;script&gt;",
        ] {
            let page = html(text);
            let mut tags =
                page.split('<').skip(1).map(|tag| tag.trim_start_matches('/').split(['>', ' ']).next().unwrap());
            let ours = ["p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "h2", "pre", "code"];
            assert!(tags.all(|tag| ours.contains(&tag)), "{text}: {page}");
        }
    }

    #[test]
    fn links_lead_to_the_web_to_mailboxes_and_to_places_of_the_site() {
        for good in [
            "https://a.example/b?c#d",
            "HTTP://a.example",
            "mailto:a@b.example",
            "/terms",
            "#top",
            "terms",
            "/a:b",
            "?q=a:b",
        ] {
            assert!(html(&format!("[x](<{good}>)")).starts_with("<p><a href="), "{good}");
        }
        assert!(html("<ana@city.example>").contains("href=\"mailto:ana@city.example\""));
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java&#10;script:alert(1)",
            "&#1;javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "//evil.example",
            "/\\\\evil.example",
            " javascript:alert(1)",
            "x:y",
        ] {
            let page = html(&format!("[shown *so*](<{bad}>) and ![seen](<{bad}>)"));
            assert_eq!(page, "<p>shown <em>so</em> and seen</p>\n", "{bad}");
        }
        let quoted = html("[x](</a\"onclick=\"x> \"t\\\"onclick=\\\"x\")");
        assert!(!quoted.contains("\" onclick") && !quoted.contains("\"onclick"), "{quoted}");
        assert_eq!(html("![seen](https://evil.example/x.png)"), "<p>seen</p>\n");
    }

    #[test]
    fn deep_and_odd_texts_are_rendered_all_the_same() {
        for text in
            ["> ".repeat(20_000), "[".repeat(60_000), "*a_".repeat(20_000), "- ".repeat(20_000), "`".repeat(60_000)]
        {
            assert!(!html(&text).is_empty());
        }
    }
}
