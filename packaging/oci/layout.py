"""Writes an OCI archive (image layout 1.0.0) of one layer: layout.py ROOT.tar VERSION ARCHITECTURE FILE"""
import gzip, hashlib, io, json, os, sys, tarfile
from datetime import datetime, timezone

root, version, architecture, file = sys.argv[1:]
epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
created = datetime.fromtimestamp(epoch, timezone.utc).isoformat()
blobs = {}


def blob(content, kind):
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}


def document(value):
    return json.dumps(value, sort_keys=True).encode()


layer = open(root, "rb").read()
packed = gzip.compress(layer, compresslevel=int(os.environ.get("GZIP_LEVEL", "9")), mtime=0)
config = blob(document({
    "created": created,
    "architecture": architecture,
    "os": "linux",
    "config": {
        "User": "baton",
        "ExposedPorts": {"8443/tcp": {}},
        "StopSignal": "SIGTERM",
        "Entrypoint": ["/usr/bin/baton"],
        "Cmd": ["serve", "--config", "/etc/baton/baton.yaml"],
        "Labels": {"org.opencontainers.image.title": "baton", "org.opencontainers.image.version": version,
                   "org.opencontainers.image.licenses": "Apache-2.0"},
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    "history": [{"created": created, "created_by": "packaging/image.sh"}],
}), "config.v1+json")
manifest = blob(document({
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": config,
    "layers": [blob(packed, "layer.v1.tar+gzip")],
}), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": version}
manifest["platform"] = {"architecture": architecture, "os": "linux"}

with tarfile.open(file, "w") as archive:
    def add(name, content):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime = len(content), epoch
        archive.addfile(entry, io.BytesIO(content))

    add("oci-layout", document({"imageLayoutVersion": "1.0.0"}))
    add("index.json", document({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]}))
    for digest in sorted(blobs):
        add(f"blobs/sha256/{digest}", blobs[digest])
