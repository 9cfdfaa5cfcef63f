import Foundation
import StockPeers
import Testing

/// What `scripts/dist.sh` makes of the build that is tested, a second version of the package, and a Debian to install them on.
final class Packages: Sendable {
    static let version = "0.2.0+first"
    static let nextVersion = "0.2.0+second"

    let files: TemporaryFiles
    /// The folder with everything.
    let folder: String
    let package: String
    /// The same program in a package with a later version.
    let nextPackage: String
    let archive: String
    let image: String
    /// The root file system of a Debian that has its essential packages, and those that the package says it needs. Copy it.
    let debian: String

    init() throws {
        files = try TemporaryFiles()
        folder = files.path("dist")
        let architecture = try Shell.run(["dpkg", "--print-architecture"]).trimmingCharacters(in: .newlines)
        package = "\(folder)/baton_\(Self.version)_\(architecture).deb"
        nextPackage = files.path("next.deb")
        archive = "\(folder)/baton-\(Self.version)-\(architecture).tar.gz"
        image = "\(folder)/baton-\(Self.version)-\(architecture).oci.tar"
        debian = files.path("debian")
        // The build's folder is where its programs are. Packing well would take most of the time.
        let build = try BuiltProgram.path("baton").dropLast("/baton".count)
        let quickly = ["GZIP_LEVEL=1", "DPKG_DEB_COMPRESSOR_TYPE=none"]
        try Shell.run(
            ["env", "BUILD=\(build)", "VERSION=\(Self.version)"] + quickly + [Self.path("scripts/dist.sh"), folder])
        try Shell.run(
            ["env"] + quickly + [Self.path("packaging/deb.sh"), "\(folder)/baton", Self.nextVersion, nextPackage])
        try Shell.run([
            "bash", "-c",
            """
            . /etc/os-release
            needs=$(dpkg-deb -f "$1" Depends | sed 's/([^)]*)//g; s/ //g')
            exec mmdebstrap --mode=root --variant=essential --format=directory --include="$needs" \
                --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/*/man/*' \
                --dpkgopt='path-exclude=/usr/share/locale/*' "$VERSION_CODENAME" "$2"
            """, "_", package, debian,
        ])
    }

    /// A file of the repository.
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent(name).path
    }

    @TaskLocal static var current: Packages?
}

/// Makes the packages once for a suite, and removes them behind it.
struct WithPackages: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await Packages.$current.withValue(Packages()) { try await function() }
    }
}

/// Programs that say nothing for a while, and end.
enum Shell {
    /// What it has printed on both outputs.
    @discardableResult
    static func run(_ arguments: [String], status expected: Int32 = 0) throws -> String {
        let files = try TemporaryFiles()
        let log = try files.write("", "log")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = process.standardOutput
        try process.run()
        process.waitUntilExit()
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)
        guard process.terminationStatus == expected else {
            throw WireError("\(arguments) ended with \(process.terminationStatus): \(text.suffix(3_000))")
        }
        return text
    }

}
