import BatonConfiguration
import Foundation
import StockPeers
import Testing

private let canMakeRoots =
    geteuid() == 0 && ["mmdebstrap", "dpkg-shlibdeps"].allSatisfy { access("/usr/bin/\($0)", X_OK) == 0 }

/// What `make dist` makes, where it is to be used. The build is the one that is tested, linked as for a release.
@Suite(
    "Packages, installed on a Debian without Swift", .serialized, .timeLimit(.minutes(10)),
    .enabled(if: canMakeRoots, "it takes root, and the Debian packages mmdebstrap and dpkg-dev"), WithPackages())
struct PackageTests {
    private let packages: Packages
    private let files: TemporaryFiles

    init() throws {
        packages = try #require(Packages.current)
        files = try TemporaryFiles()
    }

    /// A plain Debian of this test's own, with the packages below /tmp.
    private func debian() throws -> String {
        let root = files.path("root")
        try Shell.run(["cp", "-a", packages.debian, root])
        try Shell.run(["cp", packages.package, "\(root)/tmp/first.deb"])
        try Shell.run(["cp", packages.nextPackage, "\(root)/tmp/second.deb"])
        return root
    }

    /// The server as its unit starts it.
    private func serve(_ root: String) throws -> Container {
        try Container(
            root, command: ["/usr/bin/baton", "serve", "--config", "/etc/baton/baton.yaml", "--user", "baton"])
    }

    /// One that echoes, by a change of the administrator's.
    private func serveEcho() throws -> Container {
        let root = try debian()
        try Shell.run(["chroot", root, "dpkg", "-i", "/tmp/first.deb"])
        let configuration = try FileHandle(forUpdating: URL(fileURLWithPath: "\(root)/etc/baton/baton.yaml"))
        try configuration.seekToEnd()
        try configuration.write(contentsOf: Data("workers: 2\nroutes: { all: { target: echo } }\n".utf8))
        return try serve(root)
    }

    /// The paths of all files, but for what dpkg keeps for itself.
    private func paths(in root: String) throws -> Set<String> {
        let list = try Shell.run([
            "find", root, "-xdev", "-path", "\(root)/var/lib/dpkg", "-prune", "-o", "-path", "\(root)/tmp", "-prune",
            "-o",
            "-printf", "/%P\n",
        ])
        return Set(list.split(separator: "\n").map(String.init))
    }

    @Test("the program needs no library of Swift, and the checksums are those of the files")
    func program() throws {
        let needed = try Shell.run(["objdump", "-p", "\(packages.folder)/baton"])
        #expect(needed.contains("libssl.so.3"))
        #expect(!needed.contains("libswift") && !needed.contains("Foundation") && !needed.contains("dispatch"))
        let checked = try Shell.run(["sh", "-c", "cd \"$1\" && sha256sum -c SHA256SUMS", "_", packages.folder])
        #expect(checked.components(separatedBy: ": OK\n").count == 5, "\(checked)")
    }

    @Test("the archive has the program, its manual, completions and units below one folder")
    func archive() throws {
        try Shell.run(["tar", "-C", try folder("archive"), "-xzf", packages.archive])
        let top = files.path("archive/baton-\(Packages.version)")
        #expect(try Shell.run(["\(top)/bin/baton", "--version"]).hasPrefix("0."))
        for path in [
            "share/man/man1/baton.1.gz", "share/man/man8/baton-serve.8.gz", "share/man/man5/baton.yaml.5.gz",
            "share/bash-completion/completions/baton", "share/zsh/vendor-completions/_baton",
            "share/fish/vendor_completions.d/baton.fish", "lib/systemd/system/baton.service",
            "lib/systemd/system/baton.socket", "share/doc/baton/copyright",
        ] {
            #expect(FileManager.default.fileExists(atPath: "\(top)/\(path)"), "\(path)")
        }
    }

    @Test("the package installs, its configuration serves as it is, and what is purged leaves nothing but the user")
    func install() throws {
        let root = try debian()
        let before = try paths(in: root)
        #expect(!before.contains { $0.contains("swift") })
        try Shell.run(["chroot", root, "dpkg", "-i", "/tmp/first.deb"])
        let unit = try String(contentsOfFile: "\(root)/lib/systemd/system/baton.service", encoding: .utf8)
        #expect(unit.contains("ExecStart=/usr/bin/baton serve") && !unit.contains("/usr/local"))
        #expect(try paths(in: root).contains("/etc/systemd/system/multi-user.target.wants/baton.service"))

        let container = try serve(root)
        #expect(try container.page(8443).contains("Baton"))
        let status = try container.status()
        #expect(status.pid == 1 && status.program == "/usr/bin/baton")
        // It has become the package's user.
        let owner = try Shell.run(["stat", "-c", "%u", "/proc/\(container.first)"])
        #expect(try container.run(["id", "-u", "baton"]) == owner)
        #expect(try container.stop() == 0)

        try Shell.run(["chroot", root, "dpkg", "--remove", "baton"])
        #expect(try paths(in: root).contains("/etc/baton/baton.yaml"))
        try Shell.run(["chroot", root, "dpkg", "--purge", "baton"])
        // useradd(8) keeps copies of what it changes, dpkg a log.
        let copies = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"].map { "/etc/\($0)-" }
        let left = try paths(in: root).subtracting(before).subtracting(copies + ["/var/log/dpkg.log"])
        #expect(left == [])
        #expect(try Shell.run(["chroot", root, "getent", "passwd", "baton"]).contains("nologin"))
        // It can be installed again.
        try Shell.run(["chroot", root, "dpkg", "-i", "/tmp/second.deb"])
    }

    @Test("an upgrade of the package, and then one of OpenSSL, replaces the server under load and cuts no connection")
    func upgrade() throws {
        let container = try serveEcho()
        let clients = try Clients.exchange(8443, connections: 8, in: container.network)
        for _ in 0..<8 { try clients.expectNext("STARTED") }
        let before = try container.status()

        let said = try container.run(["dpkg", "-i", "/tmp/second.deb"])
        let upgraded = try container.status()
        #expect(said.contains("connections to pid \(upgraded.front)"), "\(said)")
        #expect(upgraded.pid == 1 && upgraded.front != before.front && upgraded.connections == 8)
        // The main process runs what the package has brought, too: the file it came from is gone otherwise.
        try ProcessFacts.wait {
            try ProcessFacts.program(of: container.first).hasSuffix("/usr/bin/baton")
        } else: {
            (try? ProcessFacts.program(of: container.first)) ?? "it has ended"
        }

        // The same libssl3 as a package of a later version, as a security update is.
        try Shell.run(["bash", "-c", Self.repack, "_", container.root, "libssl3", "\(container.root)/tmp/libssl3.deb"])
        let second = try container.run(["dpkg", "-i", "/tmp/libssl3.deb"])
        let renewed = try container.status()
        #expect(second.contains("connections to pid \(renewed.front)"), "\(second)")
        #expect(renewed.front != upgraded.front && renewed.connections == 8)

        try clients.endInput()
        try clients.expect("WHOLE 8 of 8")
        #expect(try container.stop() == 0)
    }

    @Test(
        "a package whose program does not work leaves the server that runs, says so in one line, and can be taken back")
    func broken() throws {
        let container = try serveEcho()
        let clients = try Clients.exchange(8443, connections: 4, in: container.network)
        for _ in 0..<4 { try clients.expectNext("STARTED") }
        let before = try container.status()
        // One that cannot even be asked, and one that fails as a server.
        for program in [
            "echo 'no such library' >&2; exit 127", "case $1 in serve*) exit 1;; esac; exec /usr/bin/first \"$@\"",
        ] {
            try Shell.run([
                "bash", "-c", Self.breakPackage, "_", packages.package, program, "\(container.root)/tmp/broken.deb",
            ])
            try Shell.run(["cp", "\(packages.folder)/baton", "\(container.root)/usr/bin/first"])
            let said = try container.run(["dpkg", "-i", "/tmp/broken.deb"])
            let complaints = said.split(separator: "\n").filter { $0.hasPrefix("baton: ") }
            #expect(complaints.count == 1 && complaints[0].contains("is not upgraded and serves on"), "\(said)")
        }
        try container.run(["dpkg", "-i", "/tmp/first.deb"])
        let after = try container.status()
        #expect(after.front != before.front && after.pid == 1 && after.connections == 4)
        try clients.endInput()
        try clients.expect("WHOLE 4 of 4")
    }

    @Test("the image's digests are right, and it serves as the first process, as its user, and ends in order")
    func image() throws {
        let layout = try folder("layout")
        try Shell.run(["tar", "-C", layout, "-xf", packages.image])
        let root = try folder("root")
        let said = try Shell.run(["python3", "-c", Self.unpackText, layout, root])
        // What the image says of itself, a line each.
        #expect(
            said.split(separator: "\n") == [
                "USER baton", "EXPOSE 8443", "STOPSIGNAL SIGTERM", "ENTRYPOINT [\"/usr/bin/baton\"]",
                "CMD [\"serve\", \"--config\", \"/etc/baton/baton.yaml\"]",
            ])
        let recipe = try String(contentsOfFile: Packages.path("packaging/oci/Containerfile"), encoding: .utf8)
        #expect(recipe.hasSuffix("\n" + said))

        let container = try Container(
            root, user: "65532:65532", command: ["/usr/bin/baton", "serve", "--config", "/etc/baton/baton.yaml"])
        #expect(try container.page(8443).contains("Baton"))
        let status = try container.status()
        #expect(status.pid == 1 && status.workers.allSatisfy { $0.state == "ready" })
        #expect(try Shell.run(["stat", "-c", "%u", "/proc/\(container.first)"]) == "65532\n")
        #expect(try container.stop() == 0)
    }

    private func folder(_ name: String) throws -> String {
        let path = files.path(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Makes a package of one that is installed: ROOT PACKAGE FILE.
    private static let repack = """
        set -eu
        tree=$(mktemp -d)
        trap 'rm -rf "$tree"' EXIT
        chroot "$1" dpkg -L "$2" | while read -r path; do
            if [ -d "$1$path" ]; then mkdir -p "$tree$path"; else [ ! -e "$1$path" ] || cp -a "$1$path" "$tree$path"; fi
        done
        mkdir -p "$tree/DEBIAN"
        chroot "$1" dpkg-query -s "$2" | sed '/^Status:/d; s/^Version: .*/&+later/' >"$tree/DEBIAN/control"
        dpkg-deb --root-owner-group -Znone -b "$tree" "$3"
        """

    /// Makes a package whose program is a script: PACKAGE SCRIPT FILE.
    private static let breakPackage = """
        set -eu
        tree=$(mktemp -d)
        trap 'rm -rf "$tree"' EXIT
        dpkg-deb -R "$1" "$tree/t"
        printf '#!/bin/sh\\n%s\\n' "$2" >"$tree/t/usr/bin/baton"
        sed -i "s/^Version: .*/&+broken/" "$tree/t/DEBIAN/control"
        dpkg-deb --root-owner-group -Znone -b "$tree/t" "$3"
        """

    /// Reads an image as an engine does: LAYOUT ROOT. Prints its configuration as the lines of a recipe.
    private static let unpackText = """
        import gzip, hashlib, io, json, sys, tarfile
        layout, root = sys.argv[1:]
        def blob(descriptor):
            kind, digest = descriptor['digest'].split(':')
            content = open(f'{layout}/blobs/{kind}/{digest}', 'rb').read()
            assert hashlib.sha256(content).hexdigest() == digest and len(content) == descriptor['size']
            return content
        assert json.load(open(f'{layout}/oci-layout')) == {'imageLayoutVersion': '1.0.0'}
        manifest = json.loads(blob(json.load(open(f'{layout}/index.json'))['manifests'][0]))
        config = json.loads(blob(manifest['config']))
        for layer, diff in zip(manifest['layers'], config['rootfs']['diff_ids'], strict=True):
            content = gzip.decompress(blob(layer))
            assert 'sha256:' + hashlib.sha256(content).hexdigest() == diff
            tarfile.open(fileobj=io.BytesIO(content)).extractall(root, numeric_owner=True)
        c = config['config']
        print('USER', c['User'])
        for port in c['ExposedPorts']: print('EXPOSE', port.removesuffix('/tcp'))
        print('STOPSIGNAL', c['StopSignal'])
        print('ENTRYPOINT', json.dumps(c['Entrypoint']))
        print('CMD', json.dumps(c['Cmd']))
        """
}
