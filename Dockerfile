# The server in an image: built by the project's own scripts, run without root and without a compiler.
#
#   docker build -t millrace .
#   docker run --rm --network host --stop-timeout 30 -v millrace:/var/lib/millrace millrace
#
# The shipped configuration listens on loopback, where ingest and streams are open; so a container is reached through the host's
# network, or with a configuration of your own that asks for tokens:
#
#   docker run --rm -p 8080:8080 --stop-timeout 30 -v millrace:/var/lib/millrace -v ./my.yaml:/etc/millrace/millrace.yaml:ro \
#     -e MILLRACE_CONFIG=/etc/millrace/millrace.yaml millrace
#
# Its own plugins go to /opt/millrace/plugins. --stop-timeout leaves the drain its time (20 s by default).
ARG DEBIAN=debian:12-slim

FROM ${DEBIAN} AS build
WORKDIR /src
COPY script/lib.sh script/bootstrap script/
RUN script/bootstrap build
COPY . .
RUN script/build release \
    && mkdir -p /opt/millrace/plugins \
    && cp build/release/millrace /opt/millrace/ \
    && cp build/release/plugins/*.so /opt/millrace/plugins/ \
    && strip --strip-debug /opt/millrace/millrace /opt/millrace/plugins/*.so \
    && cp -r config schemas LICENSE /opt/millrace/
# The packages of the libraries that it is linked to, whatever this Debian calls them; those of the base image drop out.
RUN ldd /opt/millrace/millrace /opt/millrace/plugins/*.so | awk '$2 == "=>" {print $3}' | sort -u \
    | xargs readlink -f | (xargs dpkg -S 2>/dev/null || true) | cut -d: -f1 | sort -u > /opt/millrace-packages

FROM ${DEBIAN}
COPY --from=build /opt/millrace-packages /tmp/packages
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates curl tzdata $(cat /tmp/packages) \
    && rm -rf /tmp/packages /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/millrace millrace
COPY --from=build /opt/millrace /opt/millrace
RUN ln -s /opt/millrace/millrace /usr/local/bin/millrace
ENV MILLRACE_CONFIG=/opt/millrace/config/millrace.yaml \
    MILLRACE_HEALTH=http://127.0.0.1:8080/healthz
USER millrace
# data_dir is relative to it.
WORKDIR /var/lib/millrace
VOLUME /var/lib/millrace
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD curl -fsS -o /dev/null "$MILLRACE_HEALTH"
ENTRYPOINT ["millrace"]
CMD ["serve"]
