//! The blocks of code of a document, as rustdoc's parser finds them.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A block of code. `comment` is the HTML comment directly above it, if there is one.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) line: usize,
    /// Where its code is in the document, with the marks of lists before its lines.
    pub(crate) place: Range<usize>,
    /// The marks of lists before its fence.
    margin: String,
    pub(crate) code: String,
    /// `None` if the code is indented instead of fenced.
    pub(crate) info: Option<String>,
    pub(crate) comment: Option<Comment>,
}

#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Returns the blocks of code, and the comments that are above none.
pub(crate) fn blocks(document: &str) -> (Vec<Block>, Vec<Comment>) {
    let (mut blocks, mut loose) = (Vec::new(), Vec::new());
    let mut above: Option<Comment> = None;
    let mut open: Option<Block> = None;
    let line = |at: usize| document[..at].matches('\n').count() + 1;
    for (event, place) in Parser::new_ext(document, options()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                open = Some(Block {
                    line: line(place.start),
                    margin: document[line_start(document, place.start)..place.start].to_owned(),
                    place: inner(document, place),
                    code: String::new(),
                    info: match kind {
                        CodeBlockKind::Fenced(info) => Some(info.to_string()),
                        CodeBlockKind::Indented => None,
                    },
                    comment: above.take(),
                });
            }
            Event::Text(text) if open.is_some() => {
                open.as_mut().unwrap().code.push_str(&text);
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            Event::Html(text) | Event::InlineHtml(text)
                if text.trim_start().starts_with("<!--") =>
            {
                let text = text.trim().trim_start_matches("<!--");
                let text = text.trim_end_matches("-->").trim().to_owned();
                let line = line(place.start);
                loose.extend(above.replace(Comment { line, text }));
            }
            _ => loose.extend(above.take()),
        }
    }
    loose.extend(above);
    (blocks, loose)
}

impl Block {
    /// Returns the line of its first line of code.
    pub(crate) fn first_line(&self) -> usize {
        self.line + usize::from(self.info.is_some())
    }

    /// Returns other code as it is written in this block.
    pub(crate) fn indented(&self, code: &str) -> String {
        let lines = code.lines().map(|line| format!("{}{line}", self.margin));
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

fn line_start(document: &str, at: usize) -> usize {
    document[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Returns what is between the fences.
fn inner(document: &str, fenced: Range<usize>) -> Range<usize> {
    let first = document[fenced.clone()].find('\n');
    let start = first.map_or(fenced.end, |end| fenced.start + end + 1);
    let end = line_start(
        document,
        fenced.start + document[fenced.clone()].trim_end().len(),
    );
    start..end.max(start)
}

/// As rustdoc sets them.
fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_SMART_PUNCTUATION
}
