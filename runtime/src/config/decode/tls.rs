//! `tls` of listeners and clusters: files are read and judged here, where their place is known.

use super::super::outside::Mode;
use super::super::rehearse::StandIns;
use super::super::{ClientTlsOrigin, ServerTlsOrigin};
use super::section::Section;
use super::{Cx, Value};
use crate::diagnostic::Code;
use crate::tls::{self, Bad, ClientParts, Identity, Roots, ServerParts, Versions};
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::PathBuf;
use tidegate_core::config::{TlsClient, TlsServer};

/// Bytes of a file of certificates or keys at most.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// A chain with its key, and the files that hold them.
type Pair = (Identity, (PathBuf, PathBuf));

/// What the entries of a listener's list say together.
#[derive(Default)]
struct Together<'a> {
    versions: Option<(Versions, &'a Value<'a>)>,
    client_ca: Option<(Roots, PathBuf, &'a Value<'a>)>,
}

/// The settings of the listener called `name`, on which HTTP is spoken or not.
pub(super) fn of_listener(
    cx: &mut Cx<'_>,
    listener: &Section<'_>,
    name: &str,
    value: &Value<'_>,
    http: bool,
) -> Option<TlsServer> {
    let single = value.get_ref().is_table();
    if !single && !value.get_ref().is_array() {
        let hint = "like { cert = \"site.pem\", key = \"site.key\" }";
        cx.wrong_type(value, "a table or a list of them", hint);
        return None;
    }
    let entries = if single { std::slice::from_ref(value) } else { cx.list(value)? };
    if entries.is_empty() {
        let hint = "add { cert = \"site.pem\", key = \"site.key\" }";
        cx.error(Code::MissingKey, value.span(), "the list of certificates is empty", hint);
        return None;
    }
    let title = format!("{}.tls]", listener.title.trim_end_matches(']'));
    let (mut pairs, mut together, mut complete) = (Vec::new(), Together::default(), true);
    for (index, entry) in entries.iter().enumerate() {
        let Some(section) = cx.subsection("listener.NAME.tls", title.clone(), entry) else {
            complete = false;
            continue;
        };
        match pair(cx, &section) {
            Some(found) => {
                nameless(cx, &section, &found.0, index == 0);
                pairs.push(found);
            }
            None => complete = false,
        }
        complete &= together.add(cx, &section);
    }
    if !complete {
        return None;
    }
    let (identities, certificates) = pairs.into_iter().unzip();
    let versions = together.versions.map_or_else(Versions::default, |(versions, _)| versions);
    let (client_ca, client_ca_file) = match together.client_ca {
        Some((roots, file, _)) => (Some(roots), Some(file)),
        None => (None, None),
    };
    let parts = ServerParts { identities, versions, client_ca, http };
    let made = cx.memory.server(&parts);
    let from_13 = versions == Versions::From13;
    let origin = ServerTlsOrigin { certificates, from_13, client_ca: client_ca_file };
    cx.origins.listener_tls.insert(name.to_owned(), origin);
    usable(cx, value, made)
}

/// What rustls made of good files; a refusal that no check foresaw is told in its words.
fn usable<T>(cx: &mut Cx<'_>, value: &Value<'_>, made: Result<T, String>) -> Option<T> {
    made.map_err(|why| {
        cx.error(Code::TlsUnusable, value.span(), "these TLS settings cannot be used", &why);
    })
    .ok()
}

impl<'a> Together<'a> {
    /// Adds what `section`, one of the entries, says for all; false if something is wrong.
    fn add(&mut self, cx: &mut Cx<'_>, section: &Section<'a>) -> bool {
        let mut good = true;
        if let Some(value) = section.get("min_version") {
            let words = [("1.2", Versions::From12), ("1.3", Versions::From13)];
            match (cx.choice(value, &words), &self.versions) {
                (None, _) => good = false,
                (Some(now), Some((before, first))) if now != *before => {
                    good = differ(cx, "min_version", value, first);
                }
                (Some(now), _) => self.versions = Some((now, value)),
            }
        }
        if let Some(value) = section.get("client_ca") {
            match (authorities(cx, value), &self.client_ca) {
                (None, _) => good = false,
                (Some((now, _)), Some((before, _, first))) if !now.is(before) => {
                    good = differ(cx, "client_ca", value, first);
                }
                (Some((now, file)), _) => self.client_ca = Some((now, file, value)),
            }
        }
        good
    }
}

fn differ(cx: &mut Cx<'_>, key: &str, value: &Value<'_>, first: &Value<'_>) -> bool {
    let message = format!("`{key}` holds for the listener, and two entries differ");
    cx.error(Code::Conflict, value.span(), message, "give it once");
    if let Some(diagnostic) = cx.found.last_mut() {
        diagnostic.other = Some((first.span(), "the first is here".to_owned()));
    }
    false
}

/// A certificate without names answers to clients that ask for none, if it is the default.
fn nameless(cx: &mut Cx<'_>, section: &Section<'_>, identity: &Identity, is_default: bool) {
    let (true, Some(value)) = (identity.names.is_empty(), section.get("cert")) else { return };
    if cx.outside.stand_ins().is_some() {
        return;
    }
    let message = "the certificate has no DNS name in its subject alternative names";
    if is_default {
        let hint = "browsers refuse it; only clients that look for no name take it";
        cx.warning(Code::CertificateNameless, value.span(), message, hint);
    } else {
        let hint = "no client can be given it: only the first of the list needs no name";
        cx.error(Code::CertificateNameless, value.span(), message, hint);
    }
}

/// The chain and the key that `cert` and `key` of `section` name.
fn pair(cx: &mut Cx<'_>, section: &Section<'_>) -> Option<Pair> {
    let (cert, key) = (section.get("cert"), section.get("key"));
    for (given, name, hint) in
        [(cert, "cert", "add cert = \"site.pem\""), (key, "key", "add key = \"site.key\"")]
    {
        if given.is_none() {
            cx.missing(section, name, hint);
        }
    }
    if let Some(stand_ins) = cx.outside.stand_ins() {
        return stand_in_pair(cx, stand_ins, cert?, key?);
    }
    let chain = cert.and_then(|value| file(cx, value, "certificate", tls::chain));
    let secret = key.and_then(|value| file(cx, value, "private key", tls::key));
    if let (Some(value), Some((_, path))) = (key, &secret)
        && cx.outside.mode(path) == Mode::OthersRead
    {
        let hint = format!("chmod o-rwx {}", path.display());
        let message = "the key can be read by every user of this machine";
        cx.warning(Code::KeyReadable, value.span(), message, &hint);
    }
    let ((chain, cert_file), (secret, key_file)) = (chain?, secret?);
    let (cert, key) = (cert?, key?);
    let identity = match Identity::new(chain, secret) {
        Ok(identity) => identity,
        Err(Bad::Certificate(why)) => {
            cx.error(Code::BadPem, cert.span(), "the certificate cannot be used", &why);
            return None;
        }
        Err(Bad::Key(why)) => {
            cx.error(Code::BadPem, key.span(), "the key cannot be used", &why);
            return None;
        }
        Err(Bad::Mismatch) => {
            let hint = "the first certificate of the file must be the key's own";
            let message = "the key is not the certificate's";
            cx.error(Code::KeyMismatch, key.span(), message, hint);
            if let Some(diagnostic) = cx.found.last_mut() {
                diagnostic.other = Some((cert.span(), "the certificate is here".to_owned()));
            }
            return None;
        }
    };
    if let Some(worry) = identity.worry(cx.outside.now()) {
        let hint = "renew it; HUP reads the file again without closing a connection";
        cx.warning(Code::CertificateTime, cert.span(), worry, hint);
    }
    Some((identity, (cert_file, key_file)))
}

/// The pair of a rehearsal: the stand-in with the names of the file's certificate, if that is
/// here. The key stays unopened.
fn stand_in_pair(
    cx: &mut Cx<'_>,
    stand_ins: &StandIns,
    cert: &Value<'_>,
    key: &Value<'_>,
) -> Option<Pair> {
    let errors = cx.errors();
    let chain = file(cx, cert, "certificate", tls::chain);
    if cx.errors() != errors {
        return None;
    }
    let shown = vec![stand_ins.certificate.clone()];
    let mut identity = Identity::new(shown, stand_ins.key.clone_key()).ok()?;
    identity.names.clear();
    if let Some((chain, _)) = chain {
        match tls::names(&chain) {
            Ok(names) => identity.names = names,
            Err(why) => {
                cx.error(Code::BadPem, cert.span(), "the certificate cannot be used", &why);
                return None;
            }
        }
    }
    let (cert, key) = (cx.string(cert)?, cx.string(key)?);
    let files = (cx.path(cert), cx.path(key));
    Some((identity, files))
}

/// What `read` finds in the file that `value` names.
fn file<T>(
    cx: &mut Cx<'_>,
    value: &Value<'_>,
    what: &str,
    read: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Option<(T, PathBuf)> {
    let written = cx.string(value)?;
    let path = cx.path(written);
    let found = match cx.outside.read(&path, PEM_BYTES_MAX) {
        Ok(bytes) => read(&bytes),
        Err(error) => {
            let message = format!("cannot read \"{written}\"");
            cx.unreadable(Code::TlsUnreadable, value.span(), message, &error.to_string());
            return None;
        }
    };
    match found {
        Ok(found) => Some((found, path)),
        Err(why) => {
            let message = format!("\"{written}\" has no {what} that can be used");
            cx.error(Code::BadPem, value.span(), message, &why);
            None
        }
    }
}

/// The authorities in the file that `value` names.
fn authorities(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<(Roots, PathBuf)> {
    let errors = cx.errors();
    let found = file(cx, value, "authority", |bytes| {
        let chain: Vec<CertificateDer<'static>> = tls::chain(bytes)?;
        Roots::exactly(&chain).map_err(|why| format!("one of them is no authority: {why}"))
    });
    if found.is_none()
        && cx.errors() == errors
        && let Some(stand_ins) = cx.outside.stand_ins()
    {
        let roots = Roots::exactly(std::slice::from_ref(&stand_ins.authority));
        return Some((roots.ok()?, PathBuf::new()));
    }
    found
}

/// How a cluster speaks TLS: its settings, and the name that all its servers have, if given.
#[derive(Default)]
pub(super) struct ToServers {
    pub(super) client: Option<TlsClient>,
    pub(super) sni: Option<ServerName<'static>>,
}

/// The settings of the cluster called `name`; `None`: something is wrong.
pub(super) fn of_cluster(
    cx: &mut Cx<'_>,
    cluster: &Section<'_>,
    name: &str,
    value: &Value<'_>,
) -> Option<ToServers> {
    let mut origin = ClientTlsOrigin::default();
    let (mut sni, mut identity, mut roots) = (None, None, None);
    match value.get_ref().as_bool() {
        Some(false) => return Some(ToServers::default()),
        Some(true) => {}
        None if !value.get_ref().is_table() => {
            cx.wrong_type(value, "true, false or a table", "like { sni = \"app.example\" }");
            return None;
        }
        None => {
            let title = format!("{}.tls]", cluster.title.trim_end_matches(']'));
            let section = cx.subsection("cluster.NAME.tls", title, value)?;
            if let Some(value) = section.get("sni") {
                let written = cx.string(value)?;
                sni = Some(server_name(cx, value, written)?);
                origin.sni = Some(written.to_owned());
            }
            if section.get("cert").or(section.get("key")).is_some() {
                let (found, files) = pair(cx, &section)?;
                (identity, origin.identity) = (Some(found), Some(files));
            }
            if let Some(value) = section.get("ca") {
                let (found, path) = authorities(cx, value)?;
                (roots, origin.ca) = (Some(found), Some(path));
            }
        }
    }
    let roots = match roots {
        Some(roots) => roots,
        None => of_system(cx, value)?,
    };
    let made = cx.memory.client(&ClientParts { roots, identity });
    let client = usable(cx, value, made)?;
    cx.origins.cluster_tls.insert(name.to_owned(), origin);
    Some(ToServers { client: Some(client), sni })
}

/// A name that a server's certificate can have.
pub(super) fn server_name(
    cx: &mut Cx<'_>,
    value: &Value<'_>,
    written: &str,
) -> Option<ServerName<'static>> {
    let name = ServerName::try_from(written.to_ascii_lowercase());
    if name.is_err() {
        let message = format!("\"{written}\" is no name that a certificate can have");
        cx.error(
            Code::BadHost,
            value.span(),
            message,
            "a host name without port, or an IP address",
        );
    }
    name.ok()
}

/// The system's authorities, read once a load.
fn of_system(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Roots> {
    if cx.system_roots.is_none() {
        let found = cx.outside.system_roots().and_then(|found| Roots::of_system(&found));
        cx.system_roots = Some(found);
    }
    match cx.system_roots.clone()? {
        Ok(roots) => Some(roots),
        Err(why) => {
            let message = "this machine has no certificate authorities that can be used";
            let hint = format!("name a file of them: tls = {{ ca = \"ca.pem\" }} ({why})");
            cx.error(Code::TlsUnusable, value.span(), message, &hint);
            None
        }
    }
}
