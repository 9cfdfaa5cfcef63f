// swift-tools-version: 6.2
import PackageDescription

import class Foundation.ProcessInfo

/// Every Swift target: strict concurrency comes with language mode 6; CI adds warnings as errors (`make test`).
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// What the program needs beyond the library, and the library's tests: programs that use the library alone do not resolve it.
let daemon: TargetDependencyCondition? = .when(traits: ["Daemon"])

let package = Package(
    name: "Baton",
    products: [
        .library(name: "Baton", targets: ["TLSRecords", "TLSHandshake", "Handoff"]),
        .library(name: "BatonNIO", targets: ["BatonNIO"]),
        .library(name: "HostMigration", targets: ["HostMigration"]),
        .library(name: "BatonHosts", targets: ["BatonHosts"]),
        .library(name: "BatonC", type: .dynamic, targets: ["BatonC"]),
        .executable(name: "baton", targets: ["baton"]),
    ],
    traits: [
        .trait(name: "Daemon", description: "the program `baton`, the examples, and all tests"),
        .default(enabledTraits: ["Daemon"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"6.0.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "COpenSSLStart", dependencies: ["COpenSSL"]),
        .target(name: "CLinuxSockets"),
        .target(name: "CResolver", linkerSettings: [.linkedLibrary("resolv")]),
        .target(name: "Libc", swiftSettings: settings),
        .target(name: "BatonCore", dependencies: ["Libc"], swiftSettings: settings),
        .target(
            name: "TLSRecords", dependencies: ["BatonCore", "Libc", "COpenSSL", "COpenSSLStart"],
            swiftSettings: settings),
        .target(name: "CSessionArena"),
        .target(
            name: "SessionEngine", dependencies: ["BatonCore", "Libc", "TLSRecords", "CSessionArena"],
            swiftSettings: settings),
        .target(
            name: "TLSHandshake", dependencies: ["BatonCore", "Libc", "COpenSSL", "TLSRecords"], swiftSettings: settings
        ),
        .target(
            name: "SelfSigned",
            dependencies: [
                .product(name: "X509", package: "swift-certificates", condition: daemon),
                .product(name: "Crypto", package: "swift-crypto", condition: daemon),
                .product(name: "_CryptoExtras", package: "swift-crypto", condition: daemon),
                .product(name: "SwiftASN1", package: "swift-asn1", condition: daemon),
            ],
            swiftSettings: settings),
        .target(
            name: "Handoff", dependencies: ["BatonCore", "Libc", "TLSRecords", "CLinuxSockets"], swiftSettings: settings
        ),
        .target(name: "CBaton", dependencies: ["COpenSSL"]),
        .target(
            name: "BatonC",
            dependencies: ["BatonCore", "Libc", "CBaton", "COpenSSL", "TLSRecords", "TLSHandshake", "Handoff"],
            swiftSettings: settings),
        .systemLibrary(name: "CNFTables", pkgConfig: "libnftables", providers: [.apt(["libnftables-dev"])]),
        .target(
            name: "HostMigration", dependencies: ["BatonCore", "Libc", "CLinuxSockets", "CNFTables"],
            swiftSettings: settings),
        .target(
            name: "BatonNIO",
            dependencies: [
                "BatonCore", "Libc", "TLSRecords", "TLSHandshake", "Handoff", "CLinuxSockets",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .target(
            name: "BatonHosts",
            dependencies: [
                "BatonCore", "Libc", "TLSRecords", "TLSHandshake", "Handoff", "BatonNIO", "HostMigration",
                "CLinuxSockets",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .target(
            name: "BatonConfiguration",
            dependencies: [
                "BatonCore", "Libc", "TLSRecords",
                .product(name: "Configuration", package: "swift-configuration", condition: daemon),
                .product(name: "Yams", package: "Yams", condition: daemon),
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: settings),
        .target(
            name: "BatonServer",
            dependencies: [
                "BatonCore", "Libc", "BatonConfiguration", "TLSRecords", "TLSHandshake", "Handoff", "SessionEngine",
                "BatonHosts",
                "HostMigration", "BatonNIO",
                "SelfSigned",
                "CLinuxSockets", "CResolver",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: daemon),
                .product(name: "HummingbirdCore", package: "hummingbird", condition: daemon),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "baton",
            dependencies: [
                "BatonCore", "Libc", "TLSRecords", "TLSHandshake", "Handoff", "BatonConfiguration", "BatonServer",
                "SelfSigned",
                "CLinuxSockets",
                .product(name: "Crypto", package: "swift-crypto", condition: daemon),
                .product(name: "ArgumentParser", package: "swift-argument-parser", condition: daemon),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "PollLoop", dependencies: ["TLSHandshake", "TLSRecords"], path: "Examples/PollLoop",
            exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "Worker",
            dependencies: [
                "BatonNIO", "Handoff", "TLSHandshake",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/Worker", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "Rendezvous",
            dependencies: [
                "BatonNIO", "TLSHandshake",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            path: "Examples/Rendezvous", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "DeviceLink",
            dependencies: [
                "BatonNIO", "TLSHandshake", "TLSRecords",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/DeviceLink", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "Fountain",
            dependencies: [
                "Handoff"
            ],
            path: "Examples/Fountain", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "Chat",
            dependencies: [
                "BatonNIO", "TLSHandshake",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/Chat", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "HTTP2",
            dependencies: [
                "BatonNIO", "TLSHandshake",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2", condition: daemon),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            path: "Examples/HTTP2", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "TwoHosts",
            dependencies: [
                "BatonHosts", "TLSHandshake",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/TwoHosts", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "EitherRole",
            dependencies: [
                "BatonNIO", "TLSHandshake", "TLSRecords",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/EitherRole", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "StartTLS",
            dependencies: [
                "BatonNIO", "TLSHandshake", "TLSRecords",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/StartTLS", exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "OneServer",
            dependencies: [
                "BatonNIO",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Examples/OneServer", exclude: ["README.md"], swiftSettings: settings),
        .testTarget(
            name: "ExampleTests",
            dependencies: [
                "PollLoop", "Worker", "Chat", "HTTP2", "Rendezvous", "DeviceLink", "Fountain", "EitherRole",
                "StartTLS", "OneServer", "TwoHosts", "BatonHosts", "TLSHandshake", "HostLab", "HostMigration",
                "StockPeers", "SelfSigned", "TLSRecords",
            ],
            swiftSettings: settings),
        .testTarget(name: "BatonCoreTests", dependencies: ["BatonCore"], swiftSettings: settings),
        .testTarget(name: "TLSRecordsTests", dependencies: ["BatonCore", "TLSRecords"], swiftSettings: settings),
        .testTarget(
            name: "TLSHandshakeTests",
            dependencies: ["BatonCore", "COpenSSL", "TLSHandshake", "SelfSigned", "StockPeers"],
            swiftSettings: settings),
        .executableTarget(
            name: "ArenaOwner", dependencies: ["SampleArena", "SessionEngine", "CLinuxSockets"],
            path: "Tests/ArenaOwner", swiftSettings: settings),
        .target(
            name: "SampleArena", dependencies: ["BatonCore", "SessionEngine", "TLSRecords"], path: "Tests/SampleArena",
            swiftSettings: settings),
        .testTarget(
            name: "SessionEngineTests",
            dependencies: [
                "BatonCore", "BatonConfiguration", "SessionEngine", "TLSRecords", "CLinuxSockets", "ArenaOwner",
                "SampleArena",
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "HandoffPeer", dependencies: ["Handoff"], path: "Tests/HandoffPeer", swiftSettings: settings),
        .testTarget(
            name: "HandoffTests", dependencies: ["BatonCore", "Handoff", "TLSRecords", "CLinuxSockets", "HandoffPeer"],
            swiftSettings: settings),
        .target(name: "CNamespaces", path: "Tests/CNamespaces"),
        .target(
            name: "HostLab", dependencies: ["BatonCore", "HostMigration", "CNamespaces"], path: "Tests/HostLab",
            swiftSettings: settings),
        .executableTarget(
            name: "HostMover", dependencies: ["BatonCore", "HostMigration", "HostLab"], path: "Tests/HostMover",
            swiftSettings: settings),
        .testTarget(
            name: "HostMigrationTests",
            dependencies: ["BatonCore", "HostMigration", "HostLab", "HostMover", "TLSRecords"],
            swiftSettings: settings),
        .testTarget(
            name: "DrainTests",
            dependencies: [
                "BatonCore", "baton", "BatonConfiguration", "BatonServer", "HostMigration", "HostLab", "StockPeers",
                "SelfSigned",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "BatonHostsTests",
            dependencies: ["BatonHosts", "HostMigration", "TLSHandshake", "SelfSigned", "StockPeers"],
            swiftSettings: settings),
        .testTarget(
            name: "BatonConfigurationTests",
            dependencies: [
                "BatonCore", "BatonConfiguration", "TLSRecords",
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "BatonServerTests",
            dependencies: [
                "BatonCore", "BatonConfiguration", "BatonServer", "Handoff", "HostMigration", "SessionEngine",
                "StockPeers",
            ],
            swiftSettings: settings),
        .target(
            name: "StockPeers", dependencies: ["TLSHandshake", "TLSRecords", "SelfSigned"], path: "Tests/StockPeers",
            swiftSettings: settings),
        .executableTarget(
            name: "MovingOwner", dependencies: ["BatonCore", "Handoff", "TLSRecords", "StockPeers"],
            path: "Tests/MovingOwner",
            swiftSettings: settings),
        .testTarget(
            name: "PeerTests",
            dependencies: [
                "StockPeers", "TLSHandshake", "TLSRecords", "Handoff", "MovingOwner",
                .product(name: "Crypto", package: "swift-crypto", condition: daemon),
            ],
            swiftSettings: settings),
        .testTarget(name: "CommandLineTests", dependencies: ["baton", "StockPeers"], swiftSettings: settings),
        .testTarget(
            name: "ServeTests",
            dependencies: ["baton", "BatonConfiguration", "BatonServer", "StockPeers", "SelfSigned"],
            swiftSettings: settings),
        .testTarget(
            name: "CLibraryTests", dependencies: ["BatonC", "baton", "StockPeers", "SelfSigned"],
            exclude: ["Programs"], swiftSettings: settings),
        .executableTarget(
            name: "NIOPeer",
            dependencies: [
                "BatonNIO", "Handoff", "TLSHandshake",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Tests/NIOPeer", swiftSettings: settings),
        .testTarget(
            name: "BatonNIOTests",
            dependencies: [
                "BatonCore", "BatonNIO", "NIOPeer", "SelfSigned", "Handoff", "TLSHandshake", "TLSRecords",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Crypto", package: "swift-crypto", condition: daemon),
            ],
            swiftSettings: settings),
    ]
)

// libFuzzer targets need a sanitizer, so they exist only for `make fuzz`.
if ProcessInfo.processInfo.environment["BATON_FUZZ"] != nil {
    package.targets.append(.systemLibrary(name: "CLibFuzzer", path: "Fuzz/CLibFuzzer"))
    for (name, modules) in [
        ("FuzzRecords", []), ("FuzzSnapshot", []), ("FuzzParcel", ["Handoff"]), ("FuzzArena", ["SampleArena"]),
        ("FuzzClientHello", ["TLSHandshake"]), ("FuzzFrozenSocket", ["HostMigration"]),
    ] {
        package.products.append(.executable(name: name, targets: [name]))
        package.targets.append(
            .executableTarget(
                name: name,
                dependencies: modules.map { .byName(name: $0) } + ["BatonCore", "TLSRecords", "CLibFuzzer"],
                path: "Fuzz/\(name)",
                swiftSettings: settings, linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]))
    }
}
