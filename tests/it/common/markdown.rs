//! The project's pages, as a reader sees them.

use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::files;

/// A Markdown file.
#[derive(Default)]
pub struct Page {
    /// Its path from the project's folder.
    pub name: String,
    pub blocks: Vec<Block>,
    /// Code in running text.
    pub spans: Vec<String>,
    /// Where links and pictures lead.
    pub links: Vec<String>,
    /// The anchors of its headings.
    pub anchors: Vec<String>,
}

/// A fenced block of code.
pub struct Block {
    pub language: String,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages.
pub fn pages() -> Vec<Page> {
    let folders = "docs datasets experiments assets tests results/study".split(' ');
    let mut all: Vec<_> = folders.flat_map(|f| files(&root().join(f))).collect();
    all.retain(|f| f.extension().is_some_and(|e| e == "md"));
    all.extend(["README.md", "CHANGELOG.md"].map(|f| root().join(f)));
    assert!(all.len() > 20, "{all:?}");
    let page = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a page");
        let name = path.strip_prefix(root()).expect("below the project");
        read(&name.to_string_lossy(), &text)
    };
    all.iter().map(page).collect()
}

pub fn page(name: &str) -> Page {
    let found = pages().into_iter().find(|p| p.name == name);
    found.unwrap_or_else(|| panic!("no page {name}"))
}

fn read(name: &str, text: &str) -> Page {
    let mut page = Page {
        name: name.to_owned(),
        ..Page::default()
    };
    let (mut in_block, mut heading) = (false, None);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let text = String::new();
                page.blocks.push(Block { language, text });
                in_block = true;
            }
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                page.anchors.extend(heading.take().map(|h| anchor(&h)))
            }
            Event::Text(text) if in_block => {
                let block = page.blocks.last_mut().expect("it began");
                block.text += &text;
            }
            Event::Text(text) => heading.iter_mut().for_each(|h| *h += &text),
            Event::Code(code) => {
                heading.iter_mut().for_each(|h| *h += &code);
                page.spans.push(code.to_string());
            }
            _ => {}
        }
    }
    page
}

/// The anchor that code hosts give to a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let lower = heading.to_lowercase();
    lower
        .chars()
        .filter(kept)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// A command of a console block and the output below it.
pub struct Command {
    pub typed: String,
    pub output: String,
}

impl Page {
    pub fn blocks_in<'p>(&'p self, language: &'p str) -> impl Iterator<Item = &'p str> {
        let found = self.blocks.iter().filter(move |b| b.language == language);
        found.map(|b| b.text.as_str())
    }

    /// The commands after `$ ` in all console blocks, in order, without comments.
    pub fn commands(&self) -> Vec<Command> {
        let mut all: Vec<Command> = Vec::new();
        // Blocks without a prompt are for copying.
        let typed = self.blocks_in("console").filter(|b| b.starts_with("$ "));
        for line in typed.flat_map(str::lines) {
            match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(typed), _) => {
                    let typed = typed.split(" # ").next().unwrap_or_default();
                    let (typed, output) = (typed.trim().to_owned(), String::new());
                    all.push(Command { typed, output });
                }
                (None, Some(last)) => last.output += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        all
    }
}
