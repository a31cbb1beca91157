//! What may stand in the parameters of an image URL, and what each mistake is told.

use crate::pictures::{png, png_size};
use crate::server::Server;

/// Mistakes the original knew, with its own words.
const KNOWN_MISTAKES: [(&str, &str); 13] = [
    ("w_0", r#"value 0 must be > 0: "w""#),
    ("w_-1", r#"value -1 must be > 0: "w""#),
    ("w_abc", r#"could not parse value for parameter: "w""#),
    ("h_1.5", r#"could not parse value for parameter: "h""#),
    ("c_a", "both width and height can't be 0"),
    ("w_10,c_x", r#"invalid value for "c""#),
    ("w_10,c_ab", r#"value "c" must have only 1 character"#),
    ("w_10,g_zz", r#"invalid value for "g""#),
    ("w_10,g_nnn", r#"value "g" must have at most 2 characters"#),
    ("w_10,f_sepia", r#"invalid value for "f""#),
    ("t_nope", "Unknown transformation: nope"),
    ("g_n,f_grayscale", "both width and height can't be 0"),
    ("w_,h_10", r#"could not parse value for parameter: "w""#),
];

#[test]
fn a_mistake_that_the_original_knew_is_told_in_its_words() {
    let server = Server::start("");
    for (parameters, reason) in KNOWN_MISTAKES {
        let answer = server.get(&format!("/image/{parameters}/photo.png"));
        assert_eq!((answer.status, answer.text().as_str()), (400, reason), "{parameters}");
        answer.assert_reason(parameters);
    }
}

/// Paths after `/image/` that are refused for their parameters or their scale.
const REFUSED: [&str; 52] = [
    "w_1000000000/photo.png",
    "w_2147483648/photo.png",
    "w_4294967296/photo.png",
    "w_4294967306/photo.png",
    "w_9223372036854775807/photo.png",
    "w_9223372036854775808/photo.png",
    "w_18446744073709551626/photo.png",
    "w_99999999999999999999999999999999/photo.png",
    "w_-9223372036854775808/photo.png",
    "h_0/photo.png",
    "h_-0/photo.png",
    "w_8193/photo.png",
    "h_8193/photo.png",
    "w_4000/photo@3x.png",
    "w_1e3/photo.png",
    "w_0x10/photo.png",
    "w_1_0/photo.png",
    "w_10%20/photo.png",
    "w_%2010/photo.png",
    "w_%EF%BC%91%EF%BC%90/photo.png",
    "w_%D9%A1%D9%A0/photo.png",
    "w_%00/photo.png",
    "w_NaN/photo.png",
    "w_Infinity/photo.png",
    "w/photo.png",
    "w_/photo.png",
    ",/photo.png",
    ",,,,/photo.png",
    "w_10,/photo.png",
    ",w_10/photo.png",
    "w_10,,h_10/photo.png",
    "w_10,h/photo.png",
    "w_10,w_10/photo.png",
    "w_10,w_20/photo.png",
    "w_10,c_e,c_e/photo.png",
    "w_10,g_n,g_s/photo.png",
    "w_10,t_a,t_b/photo.png",
    "w_10,zz_9/photo.png",
    "w_10,q_9x/photo.png",
    "W_10/photo.png",
    "w_10,C_a/photo.png",
    "w_10,c_/photo.png",
    "w_10,g_/photo.png",
    "w_10,f_/photo.png",
    "t_/photo.png",
    "w_10,_/photo.png",
    "w_10;h_10/photo.png",
    "__/photo.png",
    "w_10/photo@0x.png",
    "w_10/photo@6x.png",
    "w_10/photo@9999999999x.png",
    "w_10/photo@18446744073709551617x.png",
];

#[test]
fn parameters_that_mean_nothing_or_too_much_are_refused_with_a_reason() {
    let server = Server::start("");
    for path in REFUSED {
        let answer = server.get(&format!("/image/{path}"));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        answer.assert_reason(path);
    }
    server.assert_alive("refused parameters");
}

#[test]
fn parameters_without_end_are_refused_one_way_or_another() {
    let server = Server::start("");
    let many = ["w_1,".repeat(2500), ",".repeat(10_000), "w_".to_string() + &"9".repeat(5000), String::new()];
    for parameters in many {
        let answer = server.get(&format!("/image/{parameters}/photo.png"));
        assert!([400, 404, 414, 431].contains(&answer.status), "{} bytes: {answer:?}", parameters.len());
    }
    server.assert_alive("long parameters");
}

#[test]
fn a_derived_side_above_the_limit_is_refused() {
    let server = Server::start("");
    std::fs::write(server.images().join("thin.png"), png(1, 30_000)).unwrap();
    for (path, status) in [("w_4096/thin.png", 400), ("h_30000/thin.png", 400), ("w_8,h_8/thin.png", 200)] {
        assert_eq!(server.get(&format!("/image/{path}")).status, status, "{path}");
    }
}

#[test]
fn the_limits_are_those_of_the_configuration() {
    let server = Server::start("max-output-side: 100\nmax-scale: 2\n");
    let cases = [
        ("w_100,h_100/photo.png", 200),
        ("w_101,h_100/photo.png", 400),
        ("w_50,h_50/photo@2x.png", 200),
        ("w_51,h_50/photo@2x.png", 400),
        ("w_10,h_10/photo@3x.png", 400),
    ];
    for (path, status) in cases {
        let answer = server.get(&format!("/image/{path}"));
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
}

#[test]
fn a_good_request_gets_the_size_it_asked_for() {
    let server = Server::start("");
    std::fs::write(server.images().join("dot.png"), png(1, 1)).unwrap();
    // photo.png is 48 × 32.
    let cases = [
        ("w_24/photo.png", (24, 16)),
        ("h_16/photo.png", (24, 16)),
        ("w_31/photo.png", (31, 21)),
        ("w_1/photo.png", (1, 1)),
        ("w_20,h_20/photo.png", (20, 20)),
        ("w_20,h_20,c_e/photo.png", (20, 20)),
        ("h_20,c_E,w_20/photo.png", (20, 20)),
        ("w_20,h_20,c_a/photo.png", (20, 14)),
        ("w_40,h_20,c_a/photo.png", (30, 20)),
        ("w_20,c_a/photo.png", (20, 14)),
        ("w_20,h_20,c_p/photo.png", (20, 20)),
        ("w_24,c_p/photo.png", (24, 16)),
        ("w_20,h_20,c_k/photo.png", (20, 20)),
        ("w_100,h_20,c_K,g_SE/photo.png", (48, 20)),
        ("w_20,c_k/photo.png", (20, 32)),
        ("w_12,h_8,f_GRAYSCALE/photo.png", (12, 8)),
        ("w_12/photo@2x.png", (24, 16)),
        ("w_12,h_8,c_k/photo@2x.png", (12, 8)),
        ("w_2048,h_2048/dot.png", (2048, 2048)),
        ("w_8192,h_1/photo.png", (8192, 1)),
    ];
    for (path, size) in cases {
        let answer = server.get(&format!("/image/{path}"));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(png_size(&answer.body), size, "{path}");
    }
}

#[test]
fn an_image_that_is_not_there_is_told_by_name() {
    let server = Server::start("");
    let answer = server.get("/image/w_10/missing1.png");
    assert_eq!((answer.status, answer.text().as_str()), (404, "Image not found: missing1.png"));
}
