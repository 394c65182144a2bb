//! What templates give, what they refuse, and how they say so.

mod world;

use serde_json::{Value, json};
use stagegate_expressions::template::{
    OUTPUT_BYTES_MAX, TEXT_BYTES_MAX, Template, TemplateError, check_json, render_json,
};
use world::{schema, with_roots};

fn rendered(text: &str) -> Result<String, TemplateError> {
    let template = Template::compile(text, &schema())?;
    with_roots(&json!({"n": 3, "list": [1, "x", true]}), |roots| {
        template.render(roots)
    })
}

#[track_caller]
fn gives(text: &str, expected: &str) {
    match rendered(text) {
        Ok(told) => assert_eq!(told, expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn fails(text: &str) -> TemplateError {
    rendered(text).expect_err(text)
}

#[test]
fn both_spellings_mean_the_same() {
    for text in [
        "http://{{ resource.config.host }}:{{resource.config.port}}/",
        "http://{{ .resource.config.host }}:{{.resource.config.port}}/",
        "http://{{- .resource.config.host -}}:{{ resource['config'][\"port\"] }}/",
    ] {
        gives(text, "http://db.example:5432/");
    }
    gives(
        "{{ .resource.kind + .resource.name }}",
        "kuberneteskubernetes-1",
    );
}

#[test]
fn text_without_tags_stands_for_itself() {
    for text in [
        "",
        "plain",
        "a { b } c",
        "{\"json\": {\"a\": 1}}\n",
        "é\n\n",
    ] {
        gives(text, text);
    }
    gives("{{ resource.kind }}\n", "kubernetes\n");
    gives("{% raw %}{{ .x }}{% endraw %}{# note #}", "{{ .x }}");
    gives("{{ '<&>' }}", "<&>");
}

#[test]
fn values_are_written_as_json_would() {
    gives(
        "{{ resource.config.tls }} {{ result.n }} {{ resource.config.ratio }}",
        "true 3 0.5",
    );
    gives("{{ resource.config.zones }}", r#"["a","b","c"]"#);
    gives(
        "{{ resource.config.nested | tojson }}",
        r#"{"one":{"two":"deep"}}"#,
    );
    gives("{{ resource.metadata['app/name'] }}", "shop");
    gives("{{ resource.createdAt }}", "2026-01-31T12:00:00Z");
    gives("{{ resource.replicas + 1 }}", "4");
    gives("{{ resource.config.big }}", "18446744073709551615");
    gives("{{ result.list | join('-') }}", "1-x-true");
    gives("{{ resource.config.tls | string | upper }}", "TRUE");
}

#[test]
fn conditions_loops_and_filters() {
    gives("{% if .resource.config.tls %}s{% else %}p{% endif %}", "s");
    gives(
        "{% for zone in resource.config.zones %}{{ zone }};{% endfor %}",
        "a;b;c;",
    );
    gives(
        "{% for k, v in resource.metadata | items %}{{ k }}={{ v }} {% endfor %}",
        "app/name=shop env=prod ",
    );
    gives("{{ resource.config.absent | default('none') }}", "none");
    gives(
        "{{ 'a' if resource.config.absent is defined else 'b' }}",
        "b",
    );
    gives(
        "{{ 'a' if resource.config.host is not string else resource.kind | upper | replace('E', '3') }}",
        "KUB3RN3T3S",
    );
    gives("{{ resource['ki' + 'nd'] }}", "kubernetes");
    gives("{{ resource | length > 3 }}", "true");
}

#[test]
fn what_does_not_exist_is_an_error_that_names_it() {
    for (text, path) in [
        ("a {{ resource.config.hots }}", "`resource.config.hots`"),
        ("a {{ .resource.config.hots }}", "`resource.config.hots`"),
        ("a {{ resource.config.a.b.c }}", "`resource.config.a`"),
        (
            "a {{ resource.metadata['x/y'] }}",
            "`resource.metadata[\"x/y\"]`",
        ),
        (
            "a {{ resource.config.hots | upper }}",
            "`resource.config.hots`",
        ),
        (
            "a {{ resource.config.hots + 'x' }}",
            "`resource.config.hots`",
        ),
        (
            "a {{ resource.config.hots | tojson }}",
            "`resource.config.hots`",
        ),
        (
            "a {{ [resource.config.hots] | join }}",
            "`resource.config.hots`",
        ),
        (
            "a {% for x in resource.config.hots %}{% endfor %}",
            "`resource.config.hots`",
        ),
        (
            "a {% if resource.config.hots %}{% endif %}",
            "`resource.config.hots`",
        ),
        ("a {{ version.tag }}", "`version`"),
    ] {
        let error = fails(text);
        assert_eq!(error.code, "template_unresolved", "{text}: {error}");
        assert_eq!(error.message, format!("{path} does not exist"), "{text}");
        assert_eq!(error.line, 1);
        assert!(error.hint.is_some());
    }
    assert_eq!(fails("a\n  {{ resource.config.hots }}").line, 2);
    assert_eq!(fails("a\n  {{ resource.config.hots }}").column, 6);
    for text in [
        "{{ resource.config.none }}",
        "{{ resource.provider }}",
        "{{ [none] | join }}",
    ] {
        assert_eq!(fails(text).code, "template_null", "{text}");
    }
    assert_eq!(
        fails("{{ .resource.config.none }}").to_string(),
        "`resource.config.none` is null (line 1, column 5)"
    );
}

#[test]
fn wrong_names_are_refused_on_compile() {
    let refused = |text: &str| Template::compile(text, &schema()).expect_err(text);
    for (text, code, column, hint) in [
        (
            "{{ resource.knd }}",
            "template_unknown_field",
            13,
            "did you mean `kind`?",
        ),
        (
            "é {{ .resource.knd }}",
            "template_unknown_field",
            16,
            "did you mean `kind`?",
        ),
        (
            "{{ resource['knd'] }}",
            "template_unknown_field",
            13,
            "did you mean `kind`?",
        ),
        (
            "{{ resurce.kind }}",
            "template_unknown_root",
            4,
            "did you mean `resource`?",
        ),
        (
            "{% if resource.knd %}{% endif %}",
            "template_unknown_field",
            16,
            "did you mean `kind`?",
        ),
        (
            "{{ resource.kind | uper }}",
            "template_unknown_filter",
            20,
            "did you mean `upper`?",
        ),
        (
            "{{ resource.kind is strin }}",
            "template_unknown_filter",
            21,
            "did you mean `string`?",
        ),
        (
            "{{ x }}",
            "template_unknown_root",
            4,
            "known here: `resource`, `result`, `version`",
        ),
        (
            "{{ range(3) }}",
            "template_unknown_root",
            4,
            "known here: `resource`, `result`, `version`",
        ),
        (
            "{{ result.x | default(value=nope) }}",
            "template_unknown_root",
            29,
            "known here: `resource`, `result`, `version`",
        ),
    ] {
        let error = refused(text);
        assert_eq!(
            (error.code, error.column),
            (code, column),
            "{text}: {error}"
        );
        assert_eq!(error.hint.as_deref(), Some(hint), "{text}");
    }
    // A loop's variable is known inside of the loop.
    assert!(
        Template::compile(
            "{% for x in result.y %}{{ x.z }}{{ loop.index }}{% endfor %}",
            &schema()
        )
        .is_ok()
    );
}

#[test]
fn syntax_errors_carry_their_place() {
    for (text, line, column) in [
        ("{{ resource.kind", 1, 1),
        ("a\nb {{ resource..kind }}", 2, 15),
        ("{{ 'a' } }}", 1, 8),
        ("{% if result.a %}", 1, 16),
        ("{% endif %}", 1, 4),
        ("{{ }}", 1, 4),
    ] {
        let error = fails(text);
        assert_eq!(error.code, "template_syntax", "{text}: {error}");
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{text}: {error}"
        );
    }
    assert_eq!(fails("{% include 'x' %}").code, "template_unsupported");
    assert_eq!(fails("{% import 'x' as y %}").code, "template_unsupported");
    assert_eq!(fails("{% set x = 1 %}").code, "template_unsupported");
}

#[test]
fn a_json_tree_is_rendered_text_by_text() {
    let tree = json!({
        "url": "https://{{ .resource.config.host }}/",
        "port": 1, "on": true, "nothing": null,
        "headers": [{"x-env": "{{ resource.metadata.env }}"}],
        "{{ key }}": "plain",
    });
    assert!(check_json(&tree, &schema()).is_ok());
    let told = with_roots(&Value::Null, |roots| render_json(&tree, &schema(), roots)).unwrap();
    assert_eq!(
        told,
        json!({
            "url": "https://db.example/", "port": 1, "on": true, "nothing": null,
            "headers": [{"x-env": "prod"}], "{{ key }}": "plain",
        })
    );
}

#[test]
fn an_error_in_a_json_tree_names_its_place() {
    let tree =
        json!({"ok": "{{ resource.kind }}", "headers": [{}, {"a/b~c": "{{ resource.knd }}"}]});
    let error = check_json(&tree, &schema()).unwrap_err();
    assert_eq!(error.path.as_deref(), Some("/headers/1/a~1b~0c"));
    assert_eq!(
        error.to_string(),
        "at `/headers/1/a~1b~0c`: `resource` has no field `knd` (line 1, column 13); did you mean `kind`?"
    );
    let tree = json!({"url": "{{ resource.config.hots }}"});
    assert!(check_json(&tree, &schema()).is_ok());
    let error = with_roots(&Value::Null, |roots| render_json(&tree, &schema(), roots)).unwrap_err();
    assert_eq!(
        (error.path.as_deref(), error.code),
        (Some("/url"), "template_unresolved")
    );
    let mut deep = json!("{{ resource.kind }}");
    for _ in 0..200 {
        deep = json!([deep]);
    }
    assert_eq!(
        check_json(&deep, &schema()).unwrap_err().code,
        "template_data"
    );
}

#[test]
fn rendering_is_bounded() {
    let long = json!({"text": "x".repeat(OUTPUT_BYTES_MAX), "many": vec!["x"; 1_000]});
    let with = |text: &str| {
        let template = Template::compile(text, &schema()).unwrap();
        with_roots(&long, |roots| template.render(roots))
    };
    assert_eq!(with("{{ result.text }}").unwrap().len(), OUTPUT_BYTES_MAX);
    for (text, code) in [
        ("{{ result.text }}!", "template_output_too_long"),
        (
            "{{ result.text | replace('x', 'yy') }}",
            "template_output_too_long",
        ),
        (
            "{{ result.many | join(result.text) }}",
            "template_output_too_long",
        ),
        (
            "{% for a in result.many %}{% for b in result.many %}{% for c in result.many %}{% endfor %}{% endfor %}{% endfor %}",
            "template_cost",
        ),
    ] {
        assert_eq!(with(text).unwrap_err().code, code, "{text}");
    }
    assert_eq!(
        fails(&format!("{{{{{}}}}}", " ".repeat(TEXT_BYTES_MAX))).code,
        "template_too_long"
    );
}

/// Texts made to overflow a stack; each ends in an error or in a text, on a small one.
#[test]
fn hostile_templates_never_end_the_process() {
    let mut texts = Vec::new();
    for n in [15, 16, 100, 5_000] {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{1:", "}"),
            ("not ", ""),
            ("-", ""),
            ("result.a if 1 else ", ""),
            ("1+", ""),
            ("1 and ", ""),
            ("1 < ", ""),
        ] {
            texts.push(format!("{{{{ {}1{} }}}}", open.repeat(n), close.repeat(n)));
        }
        texts.push(format!("{{{{ result{} }}}}", ".a".repeat(n)));
        texts.push(format!("{{{{ result{} }}}}", "|upper".repeat(n)));
        texts.push(format!("{{{{ result{} }}}}", "()".repeat(n)));
        texts.push(format!(
            "{}{}",
            "{% if 1 %}".repeat(n),
            "{% endif %}".repeat(n)
        ));
        texts.push(format!(
            "{{% if 0 %}}{}{{% endif %}}",
            "{% elif 0 %}".repeat(n)
        ));
        texts.push(format!(
            "{}x{}",
            "{% for a in [1] %}".repeat(n),
            "{% endfor %}".repeat(n)
        ));
        texts.push("{{ 1 }}".repeat(n));
        texts.push("{{".repeat(n));
    }
    texts.extend([
        "{{ '\0' }}".to_owned(),
        "{{ \0 }}".to_owned(),
        "{{ é }}".to_owned(),
        "{{ '\\".to_owned(),
        "{%%}".to_owned(),
        "{{ 1/0 }} {{ 1//0 }} {{ 1%0 }}".to_owned(),
        "{{ loop }}".to_owned(),
        "{{ self }}".to_owned(),
        "{{ [1][99999999999999999999] }}".to_owned(),
    ]);
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || {
            for text in texts {
                let _ = rendered(&text);
            }
        })
        .expect("a thread")
        .join()
        .expect("no panic");
}

#[test]
fn templates_are_shared_between_threads_and_tell_their_roots() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>(_: &T) {}
    let template = Template::compile("{{ result.x }}{{ .resource.kind }}", &schema()).unwrap();
    shared(&template);
    assert_eq!(template.roots().collect::<Vec<_>>(), ["resource", "result"]);
    assert_eq!(template.text(), "{{ result.x }}{{ .resource.kind }}");
}
