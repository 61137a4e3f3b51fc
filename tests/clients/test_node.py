"""apache-arrow in JavaScript."""

import json
import subprocess

SCRIPT = """
const { tableFromIPC } = require('apache-arrow');
(async () => {
  const whole = await tableFromIPC(fetch(process.argv[2] + '/datasets/bus-stops.arrow'));
  const asked = await tableFromIPC(fetch(process.argv[2] + '/sql?format=arrow&q=' +
    encodeURIComponent('select district, count(*) as stops from bus_stops group by district order by district')));
  console.log(JSON.stringify({ rows: whole.numRows, first: whole.get(0).stop_id,
    stops: asked.toArray().reduce((sum, row) => sum + Number(row.stops), 0) }));
})();
"""


def test_apache_arrow_reads_streams(server, node_modules):
    script = node_modules / "read.js"
    script.write_text(SCRIPT)
    done = subprocess.run(["node", str(script), server.url], cwd=node_modules, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 860, "first": "00003", "stops": 860}
