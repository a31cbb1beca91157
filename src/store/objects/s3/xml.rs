//! The XML of answers, element by element, with bounds; broken XML is an error.

use xml::reader::{EventReader, ParserConfig, XmlEvent};

/// Lists have three levels.
const MAX_DEPTH: usize = 16;

/// Tells the path and the text of every element, in the order of their ends.
pub(super) fn walk(text: &[u8], mut found: impl FnMut(&[String], &str)) -> Result<(), String> {
    let config = ParserConfig::new().cdata_to_characters(true).whitespace_to_characters(true).ignore_comments(true);
    let mut path: Vec<String> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    for event in EventReader::new_with_config(text, config) {
        match event.map_err(|error| error.to_string())? {
            XmlEvent::StartElement { name, .. } => {
                if path.len() >= MAX_DEPTH {
                    return Err("too many levels of XML".to_owned());
                }
                path.push(name.local_name);
                texts.push(String::new());
            }
            XmlEvent::Characters(characters) => {
                if let Some(text) = texts.last_mut() {
                    text.push_str(&characters);
                }
            }
            XmlEvent::EndElement { .. } => {
                found(&path, &texts.pop().unwrap_or_default());
                path.pop();
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        walk(text.as_bytes(), |path, text| found.push((path.join("/"), text.to_owned()))).map(|()| found)
    }

    #[test]
    fn elements_are_told_with_their_texts() {
        let text = "<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\"><b> 1 &amp; <!-- no --><![CDATA[<2>]]></b>\n<c/></a>";
        let expected = [("a/b", " 1 & <2>"), ("a/c", ""), ("a", "\n")];
        assert_eq!(found(text).unwrap(), expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn broken_xml_is_an_error() {
        for text in ["", "<a>", "<a><b></a>", "<html><br></html>", "no", "<a>&what;</a>", "\0", &"<a>".repeat(100)] {
            assert!(found(text).is_err(), "{text}");
        }
        let billion = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \
                       \"&c;&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY f \
                       \"&e;&e;&e;&e;&e;&e;&e;&e;&e;\"><!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;\"><!ENTITY h \
                       \"&g;&g;&g;&g;&g;&g;&g;&g;&g;\"><!ENTITY i \"&h;&h;&h;&h;&h;&h;&h;&h;&h;\">]><a>&i;</a>";
        assert!(found(billion).is_err());
    }
}
