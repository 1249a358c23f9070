//! What a registry has under a name that is no digest: a manifest, or a list, which may come in several pages.

use http::header::LINK;
use http::{HeaderMap, Method, Uri};

use crate::body::read;
use crate::client::{MAX_MANIFEST, Registry, absolute, origin_of};
use crate::error::Error;
use crate::manifest;
use crate::transport::Http;

/// How many pages of a list are read, each no longer than a manifest.
pub const MAX_PAGES: usize = 8;

/// One page of a list.
pub struct Page {
    /// What the registry sent.
    pub bytes: Vec<u8>,
    /// Where the next one is, or why that cannot be read; none after the last one.
    pub next: Option<Result<Uri, Error>>,
}

impl<H: Http> Registry<H> {
    /// A manifest, or a list of them, that is not named by its digest. The registry has to send it itself: what another
    /// server has there would be told.
    pub(crate) async fn document(&mut self, url: &Uri) -> Result<Vec<u8>, Error> {
        Ok(self.page(url).await?.bytes)
    }

    /// The same of a list that may have more pages.
    pub(crate) async fn page(&mut self, url: &Uri) -> Result<Page, Error> {
        let (response, elsewhere) = self.get(Method::GET, url, Some(manifest::ACCEPT)).await?;
        if let Some(server) = elsewhere.0 {
            return Err(Error::Elsewhere(server));
        }
        let next = next_page(url, response.headers());
        Ok(Page { bytes: read(response, MAX_MANIFEST).await?, next })
    }
}

/// Where the page after this one is (RFC 8288, as the distribution specification uses it): at the same server, or nowhere.
fn next_page(url: &Uri, headers: &HeaderMap) -> Option<Result<Uri, Error>> {
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let next = links.flat_map(links_in).find(|(_, parameters)| is_next(parameters));
    next.map(|(target, _)| {
        let origin = origin_of(url);
        let next = match target.chars().next() {
            Some('/') if !target.starts_with("//") => absolute(&origin, &format!("{origin}{target}")),
            Some('?') => absolute(&origin, &format!("{origin}{}{target}", url.path())),
            _ => absolute(&origin, target),
        }?;
        let is_its_own = origin_of(&next) == origin;
        if is_its_own {
            Ok(next)
        } else {
            Err(Error::Redirect("to another server for the next page of a list"))
        }
    })
}

/// The targets in a field's value, each with what is said of it: `<target>; rel="next", <target>`.
fn links_in(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|link| link.split_once('>'))
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_at_the_same_server_or_nowhere() {
        let url: Uri = "https://r.example/v2/a/referrers/sha256:1?n=2".parse().unwrap();
        let next = |link: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, link.parse().unwrap());
            next_page(&url, &headers).map(|next| next.map(|next| next.to_string()))
        };
        let found = |rest: &str| Some(Ok(format!("https://r.example{rest}")));
        assert_eq!(next("</v2/a?last=x>; rel=\"next\""), found("/v2/a?last=x"));
        assert_eq!(next("<https://r.example/b,c>;title=\"x\"; REL=Next"), found("/b,c"));
        assert_eq!(next("<?last=x>; rel=next"), found("/v2/a/referrers/sha256:1?last=x"));
        assert_eq!(next("</first>; rel=\"first\", </b>; rel=\"next\""), found("/b"));
        assert_eq!(next("</b>; rel=\"prev\""), None);
        assert_eq!(next("/b; rel=\"next\""), None);
        for elsewhere in [
            "https://other.example/b",
            "https://r.example:8443/b",
            "http://r.example/b",
            "//r.example/b",
            "b",
            "",
        ] {
            let error = next(&format!("<{elsewhere}>; rel=\"next\""));
            assert!(matches!(error, Some(Err(Error::Redirect(_)))), "{elsewhere}: {error:?}");
        }
    }
}
