//! A folder of a bucket of the real S3 server, for one test.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, PutPayload,
    aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential},
    client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector},
    path::Path,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::runtime::Runtime;

use crate::servers::variable;

const REGION: &str = "us-east-1";

/// A folder of the bucket that `DUALRUN_TEST_S3_URL` names: `http://key:secret@host:port/bucket`.
pub struct Bucket {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    /// The server, `host:port`.
    pub host: String,
    /// Who asks.
    pub key: String,
    /// And with which secret.
    pub secret: String,
    /// The bucket.
    pub name: String,
    /// The folder of the test.
    pub folder: String,
}

impl Bucket {
    /// None, loudly, where no server is; in CI that is a failure.
    ///
    /// # Panics
    /// The URL is none, or no server is named and `CI` is true.
    pub fn find(test: &str) -> Option<Self> {
        let url = variable("DUALRUN_TEST_S3_URL")?;
        let parts = || {
            let rest = url.strip_prefix("http://")?;
            let (credentials, place) = rest.split_once('@')?;
            let (key, secret) = credentials.split_once(':')?;
            let (host, name) = place.split_once('/')?;
            Some((host.to_owned(), key.to_owned(), secret.to_owned(), name.to_owned()))
        };
        let Some((host, key, secret, name)) = parts() else { panic!("DUALRUN_TEST_S3_URL is no URL") };
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://{host}"))
            .with_allow_http(true)
            .with_region(REGION)
            .with_access_key_id(&key)
            .with_secret_access_key(&secret)
            .with_bucket_name(&name)
            .build()
            .unwrap_or_else(|error| panic!("S3: {error}"));
        let runtime = Runtime::new().unwrap_or_else(|error| panic!("no runtime: {error}"));
        let folder = format!("e2e-{test}-{}", std::process::id());
        Some(Self { runtime, store: Arc::new(store), host, key, secret, name, folder })
    }

    /// The URL of a place in the folder.
    pub fn url(&self, name: &str) -> String {
        format!("s3://{}/{}/{name}", self.name, self.folder)
    }

    /// Options of a source or store of `dualrun.toml` that reach the server by a host; a request that fails is tried
    /// again for two seconds.
    pub fn options(&self, host: &str) -> String {
        format!(
            "options = {{ aws_endpoint = \"http://{host}\", aws_allow_http = \"true\", aws_region = \"{REGION}\", \
             aws_access_key_id = \"{}\", aws_secret_access_key = \"{}\", retry_timeout = \"2s\" }}",
            self.key, self.secret
        )
    }

    /// The same as variables of the environment.
    pub fn environment(&self, host: &str) -> [(&'static str, String); 6] {
        [
            ("AWS_ENDPOINT", format!("http://{host}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", self.key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
            ("DUALRUN_S3_RETRY_TIMEOUT", "2s".to_owned()),
        ]
    }

    /// Puts an object.
    ///
    /// # Panics
    /// The server refuses.
    pub fn put(&self, name: &str, content: Vec<u8>) {
        let path = self.path(name);
        let put = self.store.put(&path, PutPayload::from(content));
        self.runtime.block_on(put).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The content of an object.
    ///
    /// # Panics
    /// There is none.
    pub fn get(&self, name: &str) -> Bytes {
        let get = async { self.store.get(&self.path(name)).await?.bytes().await };
        self.runtime.block_on(get).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Options with credentials that may do some actions only, such as `s3:GetObject`, and nothing else.
    ///
    /// # Panics
    /// The server gives none.
    pub fn restricted_options(&self, actions: &[&str]) -> String {
        let own = AwsCredential { key_id: self.key.clone(), secret_key: self.secret.clone(), token: None };
        let actions: Vec<String> = actions.iter().map(|action| format!("\"{action}\"")).collect();
        let policy = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":[{}],\"Resource\":[\"arn:aws:s3:::{1}\",\
             \"arn:aws:s3:::{1}/*\"]}}]}}",
            actions.join(","),
            self.name
        );
        let encoded: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let form = format!("Action=AssumeRole&Version=2011-06-15&DurationSeconds=3600&Policy={encoded}");
        let mut request = HttpRequest::new(HttpRequestBody::from(form));
        *request.method_mut() = "POST".parse().unwrap_or_else(|_| panic!("no method"));
        let uri = format!("http://{}/", self.host);
        *request.uri_mut() = uri.parse().unwrap_or_else(|error| panic!("{uri}: {error}"));
        let form = "application/x-www-form-urlencoded".parse();
        request.headers_mut().insert("content-type", form.unwrap_or_else(|_| panic!("no header")));
        AwsAuthorizer::new(&own, "sts", REGION).authorize(&mut request, None);
        let answer = self.runtime.block_on(async {
            let options = ClientOptions::new().with_allow_http(true);
            let client = ReqwestConnector::default().connect(&options).map_err(|e| e.to_string())?;
            let answer = client.execute(request).await.map_err(|e| e.to_string())?;
            answer.into_body().bytes().await.map_err(|e| e.to_string())
        });
        let answer = answer.unwrap_or_else(|error| panic!("credentials: {error}"));
        let answer = String::from_utf8_lossy(&answer);
        let part = |name: &str| {
            let (from, to) = (format!("<{name}>"), format!("</{name}>"));
            let part = answer.split_once(&from).and_then(|(_, rest)| rest.split_once(&to));
            part.unwrap_or_else(|| panic!("no {name} in {answer}")).0.to_owned()
        };
        let options = self.options(&self.host);
        let quoted = |text: &str| format!("\"{text}\"");
        let options = options.replace(&quoted(&self.key), &quoted(&part("AccessKeyId")));
        let options = options.replace(&quoted(&self.secret), &quoted(&part("SecretAccessKey")));
        options.replace(" }", &format!(", aws_session_token = \"{}\" }}", part("SessionToken")))
    }

    /// The objects below a folder, in order, relative to the folder of the test.
    ///
    /// # Panics
    /// The server refuses.
    pub fn list(&self, below: &str) -> Vec<String> {
        use futures::TryStreamExt;
        let prefix = self.path(below);
        let listed = async { self.store.list(Some(&prefix)).try_collect::<Vec<_>>().await };
        let listed = self.runtime.block_on(listed).unwrap_or_else(|error| panic!("{below}: {error}"));
        let own = format!("{}/", self.folder);
        let mut names: Vec<String> =
            listed.iter().map(|o| o.location.as_ref().trim_start_matches(&own).to_owned()).collect();
        names.sort();
        names
    }

    /// The rows of a Parquet object.
    ///
    /// # Panics
    /// It is none.
    pub fn rows(&self, name: &str) -> Vec<RecordBatch> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(self.get(name))
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        reader.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Whether the server still holds parts of an upload. It lists the parts of one that it knows, and answers 404 for
    /// any other. (MinIO lists the uploads of a whole bucket only to those who know their names.)
    ///
    /// # Panics
    /// The server answers something else.
    pub fn holds(&self, path: &str, upload: &str) -> bool {
        let credential =
            AwsCredential { key_id: self.key.clone(), secret_key: self.secret.clone(), token: None };
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let uri = format!("http://{}{path}?uploadId={upload}", self.host);
        *request.uri_mut() = uri.parse().unwrap_or_else(|error| panic!("{uri}: {error}"));
        AwsAuthorizer::new(&credential, "s3", REGION).authorize(&mut request, None);
        let asked = async {
            let options = ClientOptions::new().with_allow_http(true);
            let client = ReqwestConnector::default().connect(&options).map_err(|e| e.to_string())?;
            client.execute(request).await.map_err(|e| e.to_string())
        };
        let answer = self.runtime.block_on(asked).unwrap_or_else(|error| panic!("{path}: {error}"));
        match answer.status().as_u16() {
            200 => true,
            404 => false,
            other => panic!("{path}: the server answers {other}"),
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.folder))
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        use futures::StreamExt;
        let prefix = Path::from(self.folder.as_str());
        let gone = async {
            let found = self.store.list(Some(&prefix)).map(|object| object.map(|o| o.location)).boxed();
            self.store.delete_stream(found).collect::<Vec<_>>().await
        };
        // A test that has failed says why; what it made goes all the same.
        let _ = self.runtime.block_on(gone);
    }
}
