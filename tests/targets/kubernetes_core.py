"""Gateways of a bank, a SaaS company and of people with passwords: what the other specs of the kubernetes target do not write."""

from __future__ import annotations

BANK = r"""
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: bank, labels: {team: risk}, annotations: {example.com/owner: "risk@example.com"}}
spec:
  listeners:
    - name: public
      port: 8443
      hostnames: [ai.example.com, "*.ai.example.com"]
      maxBodySize: 4Mi
      tls:
        certificate: {kubernetes: {name: ai-tls, key: tls.crt}}
        key: {kubernetes: {name: ai-tls, key: tls.key}}
        minVersion: "1.3"
      trustedProxies: [10.0.0.0/8, "fd00::1"]
      cors:
        {origins: ["https://app.example.com"], methods: [POST], headers: [authorization, content-type],
         credentials: true, maxAge: 1h}
    - name: partners
      port: 9443
      hostnames: [partners.example.com]
      tls:
        certificate: {file: /run/secrets/tls.crt}
        key: {env: PARTNERS_TLS_KEY}
        clientCA: {file: /run/secrets/partners-ca.crt}
  vaults:
    - name: hv
      type: hashicorp
      hashicorp: {address: "https://vault.internal:8200", mount: kv, auth: {method: kubernetes, role: kong}}
  providers:
    - name: azure-eu
      type: azure-openai
      azure: {instance: bank-eu, apiVersion: "2024-10-21"}
      auth: {apiKey: {env: AZURE_KEY}}
      region: eu
    - name: azure-ch
      type: azure-openai
      azure: {instance: bank-ch}
      auth: {azure: {tenantId: 8f0b-tenant, clientId: 2d1c-client, clientSecret: {file: /run/secrets/entra}}}
      region: eu
    - name: onprem
      type: vllm
      baseUrl: https://vllm.internal/v1
      region: eu
      headers: {x-tenant: bank, x-trace: {env: TRACE_KEY}}
      tls:
        ca: {kubernetes: {name: internal-ca, key: ca.crt}}
        serverName: vllm.example.com
        clientCertificate: {file: /run/secrets/client.crt}
        clientKey: {file: /run/secrets/client.key}
    - {name: gem, type: gemini, auth: {apiKey: {env: GEMINI_KEY}}, region: eu}
  models:
    - name: assistant
      targets:
        - name: eu
          provider: azure-eu
          model: gpt-4o
          weight: 5
          parameters: {overrides: {temperature: 0.2, user: bank}, defaults: {top_p: 0.9}, maximum: {max_tokens: 4000}}
        - {name: ch, provider: azure-ch, model: gpt-4o, weight: 3}
        - {name: own, provider: onprem, model: llama-3.1-70b, priority: 1, onUnsupported: drop}
      loadBalancing: {algorithm: round-robin}
      health: {failures: 3, window: 1m, cooldown: 2m}
      residency: [eu]
      access: {allow: {groups: [staff, risk]}, deny: {groups: [interns], consumers: [batch]}}
      policies:
        ipRestriction: {deny: [10.9.0.0/16]}
        responseGuard: {deny: ['\b\d{3}-\d{2}-\d{4}\b'], action: mask}
      exposeTarget: true
      onDisconnect: drain
    - name: vectors
      capabilities: [embeddings]
      targets: [{provider: azure-eu, model: text-embedding-3-small}]
      lifecycle: {deprecated: "2027-01-31", sunset: "2027-06-30"}
    - {name: helper, targets: [{provider: gem, model: gemini-2.5-flash}], access: {deny: {groups: [interns]}}}
  auth:
    jwt:
      - name: entra
        issuer: https://login.example.com/tenant/v2.0
        audiences: [ai-gateway]
        jwksUri: https://login.example.com/tenant/keys
        consumerClaim: azp
        groupsClaim: groups
        groupMap: {4e0c9b1a-77aa: staff, 5f1d: interns}
      - name: partners
        issuer: https://id.partner.example
        jwksUri: https://id.partner.example/keys
        unknownConsumer: accept
        groupsClaim: roles
  consumerGroups:
    - name: staff
      policies:
        ipRestriction: {allow: [10.0.0.0/8, "fd00::/8"]}
        limits: [{name: each, per: minute, tokens: 5000, count: output}]
    - {name: risk}
    - {name: interns}
  consumers:
    - {name: desk, groups: [risk]}
    - {name: batch, groups: [staff], policies: {ipRestriction: {allow: [10.1.2.3]}}}
  policies:
    ipRestriction: {allow: [10.0.0.0/8, 192.0.2.0/24, "2001:db8::/32"], deny: [10.6.6.6]}
    requestTransformer: {model: helper, prompt: "Take out names."}
    responseTransformer: {model: helper, prompt: "Be brief."}
    cache: {ttl: 5m}
  deployment:
    autoscaling: {minReplicas: 2, maxReplicas: 6, targetCPUUtilization: 60}
    resources: {requests: {cpu: 500m, memory: 512Mi}, limits: {memory: 1Gi}}
    kubernetes:
      namespace: ai
      gatewayClassName: shared-class
      serviceAccount: ai-gateway
      disruptionBudget: {minAvailable: 1}
"""
"""TLS, tokens with groups, Azure, certificates towards a provider, addresses, a namespace."""

SAAS = r"""
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: saas, annotations: {example.com/owner: "saas@example.com"}}
spec:
  listeners:
    - {name: web, port: 8080, hostnames: [llm.example.com], cors: {origins: ["*"]}, trustedProxies: [10.0.0.0/8]}
    - {name: apps, port: 8081, hostnames: [apps.example.com], cors: {origins: ["https://a.example.com"]}, trustedProxies: [10.0.0.0/8]}
  stores:
    - name: counters
      type: redis
      redis: {address: "redis.internal:6379", database: 1, auth: {password: {env: REDIS_PASSWORD}}, tls: {}}
      onFailure: closed
  providers:
    - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
    - {name: local, type: openai-compatible, baseUrl: "http://pool.models.svc/v1"}
    - {name: ms, type: mistral, auth: {apiKey: {kubernetes: {name: mistral, key: apiKey}}}}
  models:
    - name: gpt-4o
      targets:
        - {name: main, provider: openai, model: gpt-4o, weight: 2}
        - name: cheap
          provider: local
          model: llama
          pricing: {input: 0.1, output: 0.4, cacheRead: 0.05, cacheWrite: 0.2}
    - name: small
      aliases: [mini]
      targets: [{provider: ms, model: mistral-small-latest, pricing: {input: 0.2, output: 0.6}}]
      policies: {limits: [{name: dear, per: day, cost: 12.5, count: input, tokens: 1000000}]}
  auth:
    apiKey: {headers: [x-api-key]}
    jwt: [{name: id, issuer: "https://id.example.com", jwksUri: "https://id.example.com/keys"}]
    basic: {}
  consumerGroups:
    - name: free
      policies: {limits: [{name: few, per: day, requests: 100}, {name: budget, by: [group], per: month, cost: 20000}]}
  consumers:
    - name: app
      groups: [free]
      credentials: [{apiKey: {env: APP_KEY}}, {basic: {username: app, password: {env: APP_PASSWORD}}}]
    - {name: pro, credentials: [{apiKey: {env: PRO_KEY}}]}
  policies:
    limitStore: counters
    limits:
      - {name: flood, by: [ip], per: second, requests: 20}
      - {name: team, by: ["header:x-team", consumer], per: hour, requests: 500, tokens: 90000}
      - {name: seen, by: [gateway], per: week, cost: 100, onExceeded: observe}
  deployment:
    replicas: 3
    resources: {limits: {cpu: "2"}}
    kubernetes:
      namespace: tenants
      gatewayRef: {name: shared, namespace: infra}
      serviceAccount: llm
      disruptionBudget: {maxUnavailable: 25%}
"""
"""A Gateway of others in another namespace; limits by everything; three doors, of which one is open."""

LOGINS = r"""
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: logins}
spec:
  listeners:
    - {name: a, address: 10.0.0.1, port: 8080, hostnames: [a.example.com], maxBodySize: 1Mi, trustedProxies: [10.0.0.0/8, 10.1.0.0/16]}
    - {name: b, address: 10.0.0.2, port: 8080, hostnames: [b.example.com], maxBodySize: 2Mi, trustedProxies: [10.0.0.0/8]}
    - name: c
      port: 8443
      tls:
        certificate: {kubernetes: {name: cert, key: cert.pem}}
        key: {kubernetes: {name: cert, key: key.pem}}
        clientCA: {kubernetes: {name: ca, key: ca.pem}}
  vaults: [{name: aws, type: aws, aws: {region: eu-west-1}}]
  stores: [{name: here}, {name: open, type: redis, redis: {address: "redis:6379"}, onFailure: open}]
  providers:
    - name: openai
      type: openai
      auth: {apiKey: {env: OPENAI_API_KEY}}
      tls:
        ca: {kubernetes: {name: roots, key: roots.pem}}
        clientCertificate: {vault: aws, key: crt}
        clientKey: {vault: aws, key: key}
    - {name: plain, type: vllm, baseUrl: "http://10.1.2.3:8000/v1", tls: {serverName: vllm.internal}}
    - {name: managed, type: azure-openai, azure: {instance: one}, auth: {azure: {managedIdentity: true}}}
    - name: pathed
      type: azure-openai
      azure: {instance: two}
      baseUrl: https://azure.example.com/proxy
      auth: {apiKey: {env: AZURE_KEY}}
  models:
    - name: chat
      targets:
        - {provider: openai, model: gpt-4o, pricing: {input: 1, output: 2}, onUnsupported: error}
        - {provider: plain, model: x, priority: 1, parameters: {overrides: {FIELDS}}}
        - {provider: managed, model: deployed, priority: 2}
        - {provider: pathed, model: deployed, priority: 2}
      exposeTarget: false
      onDisconnect: estimate
  auth: {basic: {}}
  consumers:
    - name: one
      credentials:
        - {basic: {username: one, password: {env: ONE_PASSWORD}}}
        - {basic: {username: uno, password: {file: /run/secrets/uno}}}
    - {name: two, credentials: [{basic: {username: two, password: {vault: aws, key: two}}}]}
    - {name: three, credentials: [{basic: {username: three, password: {kubernetes: {name: three, key: password}}}}]}
  policies: {limits: [{name: each, by: [consumer], per: minute, requests: 10}]}
""".replace("FIELDS", ", ".join(f"field{n}: {n}" for n in range(18)))
"""Passwords; listeners of one port; Secrets under other keys; what has no place."""
