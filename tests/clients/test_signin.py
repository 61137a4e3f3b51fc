"""Signing in at a browser, by one-time links and at a real OpenID Connect provider (npm `oidc-provider`)."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
from urllib.parse import urljoin

import pytest
import requests

from conftest import run

SECRET = "the-secret-of-the-portal-in-the-test"
GROUPS = {"ana": ["parks-stewards", "staff"], "cy": ["cios"], "eve": ["staff"]}
PORTAL = """
[server]
listen = "[::1]:{port}"
public_url = "http://[::1]:{port}"

[storage]
url = "file://{data}/storage"

[catalog]
url = "sqlite://{data}/catalog.sqlite"

[identity.oidc]
issuer = "http://127.0.0.1:{provider}"
client_id = "portico"
scopes = ["email", "groups"]

[[identity.oidc.map]]
group = "cios"
roles = ["cio"]
everywhere = true

[[identity.oidc.map]]
group = "parks-stewards"
roles = ["steward"]
departments = ["Parks"]
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A directory with the provider installed; skips where Node is not."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    directory = tmp_path_factory.mktemp("provider")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "oidc-provider@9.13.3"], cwd=directory,
                   check=True, timeout=300)
    shutil.copy(pathlib.Path(__file__).parent / "provider.mjs", directory)
    return directory


class City:
    """A portal and its provider, which may come back with another key."""

    def __init__(self, start, directory, modules):
        self.modules = modules
        self.port, self.provider_port = free_port(), free_port()
        self.url = f"http://[::1]:{self.port}"
        self.process = None
        self.provide("first")
        config = directory / "portico.toml"
        config.write_text(PORTAL.format(port=self.port, provider=self.provider_port, data=directory))
        os.environ["NO_PROXY"] = "127.0.0.1,::1"
        self.server = start("serve", "--config", str(config), PORTICO_OIDC_CLIENT_SECRET=SECRET)

    def provide(self, key, algorithm="RS256"):
        self.close()
        callback = f"{self.url}/staff/signin/callback"
        self.process = subprocess.Popen(
            ["node", "provider.mjs", str(self.provider_port), callback, key, json.dumps(GROUPS), algorithm],
            cwd=self.modules, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "provider ready" in line:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        raise AssertionError("".join(lines))

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def sign_in(self, name):
        """Goes the way that a browser goes, and stops at the portal's answer to what the provider says."""
        browser = requests.Session()
        browser.trust_env = False
        answer = browser.get(f"{self.url}/staff/signin/provider", allow_redirects=False)
        for _ in range(20):
            if answer.is_redirect:
                place = urljoin(answer.url, answer.headers["location"])
                answer = browser.get(place, allow_redirects=False)
                if place.startswith(f"{self.url}/staff/signin/callback"):
                    return browser, answer, place
                continue
            form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            assert form, answer.text
            prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text).group(1)
            answer = browser.post(urljoin(answer.url, form.group(1)), allow_redirects=False,
                                  data={"prompt": prompt, "login": name, "password": "x"})
        raise AssertionError("the provider sends nobody back")


@pytest.fixture
def city(start, tmp_path, modules):
    city = City(start, tmp_path, modules)
    yield city
    city.close()


def test_people_sign_in_at_a_real_provider(city):
    browser, answer, place = city.sign_in("ana")
    assert answer.status_code == 303, answer.text
    who = browser.get(f"{city.url}/api/staff/whoami").json()
    assert (who["name"], who["roles"]) == ("ana@city.example", ["steward"])
    assert who["scope"] == {"only": {"departments": ["Parks"], "datasets": []}}
    assert "ana@city.example" in browser.get(f"{city.url}/staff").text
    # The provider's answer is for one browser, and for one time.
    assert requests.get(place, allow_redirects=False).status_code == 400
    assert browser.get(place, allow_redirects=False).status_code == 400
    # Whoever is in no group that means something here is known to the provider, and nobody here.
    _, refused, _ = city.sign_in("eve")
    assert refused.status_code == 403 and "in no group" in refused.json()["detail"]
    _, cy, _ = city.sign_in("cy")
    assert cy.status_code == 303
    # Signed out is signed out.
    own = {"origin": city.url}
    assert browser.post(f"{city.url}/staff/signout", data={"csrf": "0" * 64}, headers=own).status_code == 403
    out = browser.post(f"{city.url}/staff/signout", data={"csrf": who["csrf"]}, headers=own, allow_redirects=False)
    assert out.status_code == 303
    assert browser.get(f"{city.url}/api/staff/whoami").status_code == 401


def test_a_provider_changes_its_keys(city):
    assert city.sign_in("ana")[1].status_code == 303
    city.provide("second")
    assert city.sign_in("ana")[1].status_code == 303
    # A shared secret signs nothing here, though the provider would have it so.
    city.provide("second", "HS256")
    _, refused, _ = city.sign_in("ana")
    assert refused.status_code == 403 and "not good" in refused.json()["detail"]


def test_the_demo_says_how_to_sign_in(server):
    said = "".join(server.lines)
    links = re.findall(r"^(contributor|steward|open-data|cio|admin) +(http\S+/staff/signin/link\?link=[0-9a-f]{64})$",
                       said, re.M)
    assert [role for role, _ in links] == ["contributor", "steward", "open-data", "cio", "admin"], said


def test_a_link_signs_in_once_and_an_administrator_ends_it(server):
    at = ["--data", str(server.data)]
    link = run("token", "link", "bo", "--role", "admin", "--everywhere", "--at", server.url, *at).stdout.strip()
    browser = requests.Session()
    page = browser.get(link)
    assert "Sign in as bo" in page.text and not browser.cookies
    own = {"origin": server.url}
    fields = {"link": link.rpartition("=")[2]}
    post = f"{server.url}/staff/signin/link"
    assert browser.post(post, data=fields).status_code == 403
    home = browser.post(post, data=fields, headers=own)
    assert home.status_code == 200 and "<strong>bo</strong>" in home.text
    assert requests.post(post, data=fields, headers=own).status_code == 404
    listed = run("session", "list", *at).stdout
    assert re.search(r"^\S{26} bo +admin everywhere · until", listed, re.M), listed
    token = run("token", "create", "root", "--role", "admin", "--everywhere", *at).stdout.strip()
    there = ["--server", server.url, "--token", token]
    assert re.search(r"^\S{26} bo +admin everywhere · until", run("session", "list", *there).stdout, re.M)
    assert "of bo" in run("session", "revoke", "--of", "bo", *there).stdout
    assert browser.get(f"{server.url}/api/staff/whoami").status_code == 401
    again = run("token", "link", "bo", "--role", "steward", "--department", "Parks", *there)
    assert again.stdout.startswith(f"{server.url}/staff/signin/link?link=") and "signs bo in once" in again.stderr
