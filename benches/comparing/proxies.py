"""The proxies under comparison: their configurations, starting them, and what they speak.

Each runs with one worker. A listener is configured only where a chosen scenario needs it, so that
the others pay nothing for it.
"""

import os
import subprocess

import peers

PROXY_CORE, LOAD_CORE = 0, 1
# In "safe" mode HAProxy sends the first request of each client connection over a new connection to
# the origin, the others do not; haproxy-always shows what that costs. It runs only where
# connections are new.
PROXIES = ("tidegate", "haproxy", "haproxy-always", "nginx")
# Tidegate without its flight recorder: `--recorder` compares Tidegate with it.
UNRECORDED = "tidegate-unrecorded"
# Listener: the origin behind it.
LISTENERS = {"http": "files", "https": "files", "tcp": "tcp", "ws": "ws"}

TIDEGATE = """workers = 1
max_connections = {connections}
[timeouts]
keep_alive = "300s"
[log]
access = "{log}"
"""
TIDEGATE_LISTENERS = {
    "http": "",
    "https": 'tls = {{ cert = "{cert}", key = "{key}" }}\n',
    "tcp": 'protocol = "tcp"\nto = "tcp"\n',
    "ws": "",
}

HAPROXY = """global
  nbthread 1
  maxconn {connections}
  {log}
defaults any
  timeout connect 5s
  timeout client 300s
  timeout server 300s
defaults http from any
  mode http
  {option}
defaults tcp from any
  mode tcp
"""
HAPROXY_LISTENERS = {
    "http": ("http", ""),
    "https": ("http", " ssl crt {pem}"),
    "tcp": ("tcp", ""),
    "ws": ("http", ""),
}

NGINX_FILES = """
  upstream files {{ server 127.0.0.1:{files}; keepalive 256; keepalive_requests 1000000000; }}
"""
NGINX_PASS = """
    location / {
      proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_max_temp_file_size 0;
    }
"""
NGINX_UPGRADE = """
    location / {{
      proxy_pass http://127.0.0.1:{ws}; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
"""
NGINX_TLS = """
    ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
"""

# What every TLS client offers here; the load of `load` offers the same by itself.
OPENSSL_CONF = """openssl_conf = all
[all]
ssl_conf = tls
[tls]
system_default = offer
[offer]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
"""
NEGOTIATED = ("TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256", "Server Temp Key: X25519",
              "Server public key is 256 bit", "Peer signature type: ECDSA")


class Proxy:
    """One running proxy; `ports` by listener."""

    def __init__(self, name, process, ports, log):
        self.name, self.process, self.ports, self.log = name, process, ports, log


class Certificate:
    """A self-signed ECDSA P-256 certificate for localhost, made anew in the stage's directory."""

    def __init__(self, stage):
        self.cert, self.key = stage.path("tls.cert"), stage.path("tls.key")
        self.pem, self.openssl_conf = stage.path("tls.pem"), stage.write("tls.cnf", OPENSSL_CONF)
        made = subprocess.run(
            [peers.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.key,
             "-out", self.cert], capture_output=True, text=True, check=False)
        if made.returncode:
            raise peers.Failed("openssl req: " + made.stderr[-300:])
        with open(self.pem, "w", encoding="ascii") as pem:
            for part in (self.cert, self.key):
                with open(part, encoding="ascii") as file:
                    pem.write(file.read())
        for path in (self.key, self.pem):
            os.chmod(path, 0o600)

    def check(self, proxy):
        """Raises unless the proxy negotiates what all are compared with."""
        said = subprocess.run(
            [peers.program("openssl"), "s_client", "-connect", f"127.0.0.1:{proxy.ports['https']}",
             "-servername", "localhost"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env={**os.environ, "OPENSSL_CONF": self.openssl_conf}, timeout=10, check=False)
        lacking = [part for part in NEGOTIATED if part not in said.stdout]
        if lacking:
            raise peers.Failed(f"{proxy.name} did not negotiate {', '.join(lacking)}: "
                               + said.stderr[-300:])


def tidegate(ports, origins, certificate, connections, log):
    """The configuration file of tidegate."""
    text = TIDEGATE.format(connections=connections, log=log or "off")
    for kind, port in ports.items():
        text += f'[listener.{kind}]\nbind = "127.0.0.1:{port}"\n'
        text += TIDEGATE_LISTENERS[kind].format(**vars(certificate) if certificate else {})
    for origin in dict.fromkeys(LISTENERS[kind] for kind in ports):
        text += f'[cluster.{origin}]\nservers = ["127.0.0.1:{origins[origin]}"]\n'
    for kind in ports:
        if kind != "tcp":
            text += f'[[route]]\nlistener = "{kind}"\nto = "{LISTENERS[kind]}"\n'
    return text


def haproxy(ports, origins, certificate, connections, log, reuse):
    """The configuration file of HAProxy."""
    text = HAPROXY.format(connections=connections,
                          log="log stdout format raw local0 info" if log else "",
                          option="log global\n  option httplog" if log else "")
    for kind, port in ports.items():
        mode, tls = HAPROXY_LISTENERS[kind]
        tls = tls.format(**vars(certificate) if certificate else {})
        text += (f"frontend {kind} from {mode}\n  bind 127.0.0.1:{port} backlog 4096{tls}\n"
                 f"  default_backend {LISTENERS[kind]}\n")
    for origin in dict.fromkeys(LISTENERS[kind] for kind in ports):
        mode = "tcp" if origin == "tcp" else "http"
        text += f"backend {origin} from {mode}\n  server one 127.0.0.1:{origins[origin]}\n"
        if mode == "http":
            text += f"  http-reuse {reuse}\n"
    return text


def nginx(ports, origins, certificate):
    """The ends of nginx's http block and of its stream block, None without one."""
    text, stream = NGINX_FILES.format(**origins) if "files" in origins else "", None
    for kind, port in ports.items():
        listen = f"listen 127.0.0.1:{port}{' ssl' if kind == 'https' else ''} backlog=4096;"
        if kind == "tcp":
            stream = (f"\n  server {{ {listen} proxy_timeout 300s; "
                      f"proxy_pass 127.0.0.1:{origins['tcp']}; }}\n")
            continue
        inner = NGINX_UPGRADE.format(**origins) if kind == "ws" else NGINX_PASS
        if kind == "https":
            inner += NGINX_TLS.format(**vars(certificate))
        text += f"\n  server {{\n    {listen}{inner}\n  }}\n"
    return text, stream


def start_proxy(stage, name, kinds, origins, certificate, args, logged=False, connections=4096):
    """Starts the proxy called `name` with listeners of these kinds in front of the `origins`
    (their ports by name), its access log in a file if `logged`."""
    ports = dict(zip(kinds, peers.free_ports(len(kinds))))
    tag = f"{name}-{'log' if logged else 'off'}"
    log = stage.path(f"{tag}.access") if logged else None
    with open(stage.path(f"{tag}.stderr"), "w", encoding="utf-8") as errors:
        if name == "nginx":
            body, stream = nginx(ports, origins, certificate)
            process = peers.nginx(stage, tag, body, access_log=log or "off", core=PROXY_CORE,
                                  connections=2 * connections + 64, stream=stream)
        elif name.startswith("haproxy"):
            conf = stage.write(f"{tag}.cfg", haproxy(
                ports, origins, certificate, connections, log,
                "always" if name == "haproxy-always" else "safe"))
            with open(log or os.devnull, "ab") as out:
                process = stage.start([peers.program("haproxy"), "-db", "-f", conf],
                                      core=PROXY_CORE, stdout=out, stderr=errors)
        else:
            conf = stage.write(f"{tag}.toml",
                               tidegate(ports, origins, certificate, connections, log))
            command = [args.tidegate, "serve", "-c", conf]
            command += ["--record", "off" if name == UNRECORDED else "16MiB"]
            process = stage.start(command, core=PROXY_CORE, stderr=errors)
    proxy = Proxy(name, process, ports, log)
    try:
        for port in ports.values():
            peers.wait_listening(port, process)
        if "https" in ports:
            certificate.check(proxy)
    except peers.Failed as failure:
        with open(errors.name, encoding="utf-8") as said:
            raise peers.Failed(f"{failure}\n{said.read()}") from None
    return proxy


def start_origins(stage, kinds, sizes, args, connections=4096):
    """Starts the origins behind listeners of these kinds and gives their ports by name; `files`
    holds a file of each size in `sizes`, by name."""
    wanted = list(dict.fromkeys(LISTENERS[kind] for kind in kinds))
    ports = dict(zip(wanted, peers.free_ports(len(wanted))))
    for name, port in ports.items():
        if name == "files":
            root = stage.path("files", "")
            for file, size in sizes.items():
                with open(os.path.join(root, file), "wb") as out:
                    out.write((b"0123456789abcde\n" * (size // 16))[:size])
            # A POST gets the file too.
            peers.nginx_origin(stage, "origin", port, root, connections, core=LOAD_CORE,
                               server="error_page 405 =200 $uri;")
        else:
            process = stage.start([args.load, f"origin-{name}", "--port", str(port)],
                                  core=LOAD_CORE)
            peers.wait_listening(port, process)
    return ports
