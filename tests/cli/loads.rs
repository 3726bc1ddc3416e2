//! `stampede load` on a server that runs already and that others use as well.

use super::{Here, OK, Serving, USAGE};
use serde_json::Value;

#[test]
fn a_running_server_is_judged_by_what_the_run_did() {
    let here = Here::new();
    here.write_stock("stock.csv", 5);
    here.run(&["import", "stock.csv"]).says(OK);
    let serving = Serving::start(&here, &[]);
    let (key, url) = (here.key("load"), serving.url());
    for seed in ["1", "2"] {
        // The second one meets neither stock nor keys of the first.
        let smoke = ["load", "smoke", "--url", &url, "--key", &key, "--seed", seed, "--json"];
        let said = here.run(&smoke).says(OK);
        let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!((&summary["sold"], summary["own_server"].as_bool()), (&Value::from(5), Some(false)), "{summary}");
        assert_eq!(summary["server"], url.as_str());
    }
    here.run(&["load", "smoke", "--url", &url, "--key", "sk_wrong"]).fails(USAGE, "refuses this API key");
    here.run(&["load", "smoke", "--url", &url]).fails(USAGE, "--key");
    assert_eq!(serving.stop(), OK);
    here.run(&["verify", "stampede-data"]).says(OK);
}
