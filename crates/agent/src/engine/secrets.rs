//! Secrets that rules compare headers with: from the store to the proxy, and what is missing of them.

use super::Engine;
use crate::failure::Result;
use ciliate_policy::{
    Kind, Object, ObjectKey,
    object::secret::{SecretName, SecretUse},
    rule_set::{Filter, FilterDigest},
};
use ciliate_proxy::message::Secrets;
use ciliate_types::{Concealed, HeaderValue, L7Rules};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

type Filters = BTreeMap<FilterDigest, Arc<Filter>>;

impl Engine {
    /// The values of the secrets that these filters refer to, as far as there are any.
    pub(super) fn secrets_of(&self, filters: &Filters) -> Result<Secrets> {
        let names: BTreeSet<SecretName> =
            filters.values().flat_map(|filter| uses(filter).map(|(name, _)| name)).collect();
        let mut secrets = Secrets::new();
        for name in names {
            if let Ok(value) = self.secret(&name)? {
                secrets.insert(name.to_string(), value);
            }
        }
        Ok(secrets)
    }

    /// Has the proxy go by the secrets of now. If it does not hear of them it is told again.
    pub(super) fn tell_secrets(&mut self) {
        let told =
            self.secrets_of(&self.policy.filters()).and_then(|secrets| self.proxy.learn_secrets(secrets));
        if let Err(failure) = told {
            tracing::error!(%failure, "the proxy may go by old secrets until it answers");
        }
        self.note_lacking_secrets();
    }

    /// Logs what has come to be lacking of secrets since the last time.
    pub(super) fn note_lacking_secrets(&mut self) {
        let lacking = self.lacking_secrets();
        for lack in lacking.difference(&self.lacking) {
            tracing::warn!("{lack}");
        }
        self.lacking = lacking;
    }

    /// What keeps rules in force about secrets from matching.
    fn lacking_secrets(&self) -> BTreeSet<String> {
        let filters = self.policy.filters();
        let mut users: BTreeMap<SecretName, BTreeSet<String>> = BTreeMap::new();
        for (name, user) in filters.values().flat_map(|filter| uses(filter)) {
            users.entry(name).or_default().insert(user.to_string());
        }
        let lack = |(name, users): (SecretName, BTreeSet<String>)| {
            let why = match self.secret(&name) {
                Ok(Ok(_)) => return None,
                Ok(Err(lack)) => lack,
                Err(failure) => format!("cannot be read: {failure}"),
            };
            let users: Vec<_> = users.into_iter().collect();
            Some(format!("secret {name} {why}: used by {}", users.join(", ")))
        };
        users.into_iter().filter_map(lack).collect()
    }

    /// For people: what is lacking of secrets, none if nothing is.
    pub(crate) fn secrets_health(&self) -> Option<String> {
        let all: Vec<&str> = self.lacking.iter().map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// What keeps rules about secrets from matching, now that `object` is stored.
    pub(super) fn warnings_of_secrets(&self, object: &Object) -> Result<Vec<String>> {
        if let Object::Secret(secret) = object {
            return Ok(match secret.header_value() {
                Ok(_) => Vec::new(),
                Err(lack) => self.users(&object.key(), &lack),
            });
        }
        let mut warnings = Vec::new();
        for SecretUse { secret, header, has_stand_in } in object.secrets_used() {
            let Err(lack) = self.secret(&secret)? else { continue };
            let instead = match has_stand_in {
                true => "the rule's own value stands in",
                false => "the rule matches no request",
            };
            warnings.push(format!("header {header}: secret {secret} {lack}: until that changes {instead}"));
        }
        Ok(warnings)
    }

    /// Whose rules miss a secret that was deleted.
    pub(super) fn warnings_of_deletion(&self, key: &ObjectKey) -> Vec<String> {
        match key.kind {
            Kind::Secret => self.users(key, "does not exist any more"),
            Kind::CiliumNetworkPolicy
            | Kind::CiliumClusterwideNetworkPolicy
            | Kind::NetworkPolicy
            | Kind::CiliumCidrGroup
            | Kind::Namespace => Vec::new(),
        }
    }

    /// A warning for each policy in force that refers to the secret, which lacks something.
    fn users(&self, key: &ObjectKey, lack: &str) -> Vec<String> {
        let filters = self.policy.filters();
        let all = filters.values().flat_map(|filter| uses(filter));
        let here =
            all.filter(|(name, _)| Some(&name.namespace) == key.namespace.as_ref() && name.name == key.name);
        let users: BTreeSet<String> = here.map(|(_, user)| user.to_string()).collect();
        let warning = |user| {
            format!(
                "{key} {lack}: rules of {user} that compare a header with it match no request without a value of their own"
            )
        };
        users.into_iter().map(warning).collect()
    }

    /// Its value, or what it lacks.
    fn secret(&self, name: &SecretName) -> Result<std::result::Result<Concealed, String>> {
        let key = ObjectKey {
            kind: Kind::Secret,
            namespace: Some(name.namespace.clone()),
            name: name.name.clone(),
        };
        Ok(match self.stored_object(&key)? {
            Some(Object::Secret(secret)) => secret.header_value(),
            Some(_) | None => Err("does not exist".to_owned()),
        })
    }
}

/// The secrets that a filter refers to, each with the policy that does.
fn uses(filter: &Filter) -> impl Iterator<Item = (SecretName, &ObjectKey)> {
    filter.rules.iter().flat_map(|rule| {
        let http = match &*rule.l7 {
            L7Rules::Http(http) => http.as_slice(),
            L7Rules::Kafka(_) | L7Rules::Dns(_) | L7Rules::Tls(_) => &[],
        };
        let headers = http.iter().flat_map(|http| &http.header_matches);
        headers.filter_map(|header| match &header.value {
            HeaderValue::Secret { namespace, name, fallback: _ } => {
                let name = SecretName { namespace: namespace.clone(), name: name.clone() };
                Some((name, &*rule.object))
            }
            HeaderValue::Present | HeaderValue::Exact(_) | HeaderValue::Regex(_) => None,
        })
    })
}
