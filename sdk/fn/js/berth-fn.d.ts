export class FunctionError extends Error {
  constructor(code: string, message?: string, details?: Record<string, unknown>);
  code: string;
  details?: Record<string, unknown>;
}
export interface Rules {
  type?: "string" | "number" | "integer" | "boolean" | "array" | "object";
  required?: boolean;
  optional?: boolean;
  minLength?: number;
  maxLength?: number;
  min_length?: number;
  max_length?: number;
  min?: number;
  max?: number;
  pattern?: string;
  enum?: unknown[];
  items?: Rules;
}
export type Schema = Record<string, Rules>;
export interface Context {
  auth: { id: string; email: string; verified: boolean; role?: string; metadata?: Record<string, unknown> } | null;
  env: Record<string, string>;
  request_id: string;
  function_name: string;
  deadline: number | null;
  signal: AbortSignal;
  log: Record<"debug" | "info" | "warn" | "error", (message: string, data?: Record<string, unknown>) => void>;
  alyx: {
    url: string;
    token: string;
    fetch(path: string, options?: RequestInit): Promise<Response>;
    invoke(name: string, input?: Record<string, unknown>): Promise<any>;
  };
}
export type Handler = (input: any, ctx: Context) => unknown;
export function validate(input: unknown, schema?: Schema): void;
export function makeContext(request?: Record<string, unknown>, logs?: unknown[], signal?: AbortSignal): Context;
export function defineFunction(definition: Handler | { input?: Schema; handler: Handler }): {
  handler: Handler;
  input?: Schema;
  call(input?: unknown, context?: Context): Promise<any>;
};
