package dev.metacircular.agent;

import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.AddTokenResponse;
import dev.metacircular.contract.v1.ListTokensResponse;
import dev.metacircular.contract.v1.RevokeTokenRequest;
import dev.metacircular.contract.v1.RevokeTokenResponse;
import dev.metacircular.contract.v1.Token;
import dev.metacircular.model.Problem;

/** The contract's calls about tokens. */
final class TokenService {
    private final Tokens tokens;
    private final Outcomes outcomes;

    TokenService(Tokens tokens, Outcomes outcomes) {
        this.tokens = tokens;
        this.outcomes = outcomes;
    }

    ListTokensResponse list() {
        return ListTokensResponse.newBuilder()
                .addAllTokens(tokens.list().stream()
                        .map(t -> Token.newBuilder()
                                .setName(t.name())
                                .setRole(t.role())
                                .setCreatedAtMs(t.createdAt().toEpochMilli())
                                .build())
                        .toList())
                .build();
    }

    /** The token is in the answer to the first of the calls with one key, and nowhere else. */
    AddTokenResponse add(Caller caller, AddTokenRequest request) {
        AddTokenResponse response = outcomes.once(
                caller,
                request.getIdempotencyKey(),
                "AddToken",
                AddTokenResponse.parser(),
                () -> AddTokenResponse.newBuilder()
                        .setToken(tokens.add(request.getName(), role(request.getRole())))
                        .build(),
                made -> AddTokenResponse.getDefaultInstance());
        if (response.getToken().isEmpty()) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the token was made by the first of these calls, and is shown once only")
                    .at(request.getName())
                    .next("revoke it and add another")
                    .exception();
        }
        return response;
    }

    private static Role role(String text) {
        return Role.parse(text)
                .orElseThrow(() -> Problem.of(
                                Problem.Kind.INVALID, "'" + text + "' is not a role: expected operator or viewer")
                        .exception());
    }

    RevokeTokenResponse revoke(Caller caller, RevokeTokenRequest request) {
        return outcomes.once(caller, request.getIdempotencyKey(), "RevokeToken", RevokeTokenResponse.parser(), () -> {
            tokens.revoke(request.getName());
            return RevokeTokenResponse.getDefaultInstance();
        });
    }
}
