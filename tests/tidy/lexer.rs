//! Rust text as tokens, so that nothing is found inside of strings and comments.
//!
//! It knows just enough of the language to skip what is not code: nested comments, strings with escapes, raw strings,
//! and characters as against lifetimes.

/// A token and the line, from 1, on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword or a number.
    Word,
    /// One character of punctuation.
    Mark,
    /// A string or a character; its text is left out.
    Literal,
    /// A line that documents the item below it; the text is what follows the slashes.
    Doc,
}

impl Token<'_> {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// Whether the tokens that begin at `at` have exactly these texts, punctuation one character each.
pub(crate) fn matches_at(tokens: &[Token<'_>], at: usize, texts: &[&str]) -> bool {
    tokens.get(at..at + texts.len()).is_some_and(|found| {
        found
            .iter()
            .zip(texts)
            .all(|(token, text)| matches!(token.kind, Kind::Word | Kind::Mark) && token.text == *text)
    })
}

/// Takes Rust text apart.
pub(crate) fn lex(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn step(&mut self) {
        let rest = self.rest();
        let first = rest.chars().next().expect("the end was not reached");
        if rest.starts_with("//") {
            self.line_comment();
        } else if rest.starts_with("/*") {
            self.skip(block_comment_length(rest));
        } else if first == '_' || first.is_alphanumeric() {
            self.word();
        } else if first == '"' {
            self.literal(string_length(rest));
        } else if first == '\'' {
            self.character_or_lifetime();
        } else {
            if !first.is_whitespace() {
                self.push(Kind::Mark, &rest[..first.len_utf8()]);
            }
            self.skip(first.len_utf8());
        }
    }

    fn push(&mut self, kind: Kind, text: &'a str) {
        self.tokens.push(Token { line: self.line, kind, text });
    }

    fn skip(&mut self, length: usize) {
        let end = (self.at + length).min(self.text.len());
        self.line += self.text[self.at..end].matches('\n').count();
        self.at = end;
    }

    fn literal(&mut self, length: usize) {
        self.push(Kind::Literal, "");
        self.skip(length);
    }

    fn line_comment(&mut self) {
        let comment = self.rest().lines().next().unwrap_or("");
        if let Some(doc) = comment.strip_prefix("///") {
            self.push(Kind::Doc, doc);
        }
        self.skip(comment.len());
    }

    fn word(&mut self) {
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let raw = matches!(word, "r" | "br" | "cr") && after.trim_start_matches('#').starts_with('"');
        if raw {
            self.literal(end + raw_string_length(after));
        } else {
            self.push(Kind::Word, word);
            self.skip(end);
        }
    }

    fn character_or_lifetime(&mut self) {
        let mut after = self.rest().char_indices().skip(1);
        let (first, second) = (after.next(), after.next());
        match (first, second) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let past = at + escaped.len_utf8();
                let end = self.rest()[past..].find('\'').map_or(self.rest().len(), |found| past + found + 1);
                self.literal(end);
            }
            (Some(_), Some((at, '\''))) => self.literal(at + 1),
            _ => self.skip(1),
        }
    }
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string from its first `#` or quote on.
fn raw_string_length(text: &str) -> usize {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let close = format!("\"{}", &text[..hashes]);
    let body = hashes + 1;
    text[body..].find(&close).map_or(text.len(), |found| body + found + close.len())
}

#[test]
fn strings_comments_and_characters_are_not_code() {
    let text = r####"
        // unsafe
        /* unsafe /* unsafe */ unsafe */
        let a = "unsafe \" unsafe"; let b = r#"unsafe " unsafe"#; let c = b"unsafe"; let d = br"unsafe\";
        let e = ['{', '\'', '\u{7b}', b'"', '"'];
        let g = r"\"; let f: &'static str = last;
    "####;
    let tokens = lex(text);
    assert!(tokens.iter().all(|token| !token.text.contains("unsafe") && token.text != "{"), "{tokens:?}");
    assert_eq!(tokens.iter().filter(|token| token.kind == Kind::Literal).count(), 10);
    assert!(matches_at(&tokens, tokens.len() - 6, &["&", "static", "str", "=", "last", ";"]));
}

#[test]
fn tokens_know_their_lines() {
    let tokens = lex("a\n\"two\nlines\" b /* \n */ c // d\n/// doc\ne");
    let lines: Vec<_> = tokens.iter().map(|token| (token.text, token.line)).collect();
    assert_eq!(lines, [("a", 1), ("", 2), ("b", 3), ("c", 4), (" doc", 5), ("e", 6)]);
}

#[test]
fn a_raw_identifier_is_not_a_raw_string() {
    let tokens = lex("r#fn r#\"fn\"# '\u{e9}' x");
    let texts: Vec<_> = tokens.iter().map(|token| token.text).collect();
    assert_eq!(texts, ["r", "#", "fn", "", "", "x"]);
}
