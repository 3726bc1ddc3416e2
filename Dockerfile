# Stampede as one binary: built with Rust, run without a shell, as nobody, on a read-only file system.
# `--build-arg SOURCE_COMMIT=$(git rev-parse HEAD)` puts the commit into `stampede --version`: git stays outside.
FROM rust:1.95-bookworm AS build
# For the bill of materials.
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG SOURCE_COMMIT=""
RUN dev/sbom /sbom.cdx.json
RUN cargo build --release --locked --bin stampede \
    && mkdir /data \
    && cp target/release/stampede /stampede

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /stampede /usr/local/bin/stampede
COPY --from=build /sbom.cdx.json /usr/share/doc/stampede/sbom.cdx.json
# A volume mounted here takes over the owner.
COPY --from=build --chown=65532:65532 /data /var/lib/stampede
USER 65532:65532
ENV STAMPEDE_DATA_DIR=/var/lib/stampede \
    STAMPEDE_API_BIND=0.0.0.0:8080 \
    STAMPEDE_OPS_BIND=0.0.0.0:8081 \
    STAMPEDE_DIAGNOSTICS_FORMAT=json
VOLUME /var/lib/stampede
EXPOSE 8080 8081
# Reading the log back after a crash may take a while: 60 tries, 2 s apart.
HEALTHCHECK --interval=2s --timeout=2s --start-period=120s --retries=3 CMD ["stampede", "health"]
# SIGTERM drains; give it 40 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["stampede"]
CMD ["serve"]
