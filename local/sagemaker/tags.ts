/** Tags: checked when given, added to and taken from any resource by its ARN. */
import type { Kind } from "./arns.js";
import type { Tag } from "./documents.js";
import { validationError } from "./errors.js";
import type { Call, TagOperations } from "./operations.js";
import type { Row, Store } from "./store.js";

/** AWS: tags of one resource. */
const maxTags = 50;

export function createTagOperations(store: Store): TagOperations {
  const find = async (call: Call, arn: string): Promise<Row<Kind>> => {
    const row = await store.findByArn(arn);
    // Somebody else's resource is as unknown as one that is not there.
    if (row === undefined || row.key.account !== call.account)
      throw validationError(`Could not find resource "${arn}".`);
    return row;
  };

  return {
    async AddTags(call, { ResourceArn, Tags }) {
      const { key, tags } = await find(call, ResourceArn);
      const added = checkTags(Tags);
      const kept = tags.filter((tag) => !added.some(({ Key }) => Key === tag.Key));
      const all = checkTags([...kept, ...added]);
      await store.replaceTags(key, all);
      return { Tags: [...all] };
    },

    /** A page holds at least 50 tags and a resource at most 50: there is no second page. */
    async ListTags(call, { ResourceArn }) {
      return { Tags: [...(await find(call, ResourceArn)).tags] };
    },

    async DeleteTags(call, { ResourceArn, TagKeys }) {
      const { key, tags } = await find(call, ResourceArn);
      await store.replaceTags(
        key,
        tags.filter(({ Key }) => !TagKeys.includes(Key)),
      );
      return {};
    },
  };
}

/** Returns the tags, or throws what AWS answers to too many, doubled or reserved keys. */
export function checkTags(tags: readonly Tag[] = []): readonly Tag[] {
  const keys = new Set(tags.map(({ Key }) => Key));
  if (keys.size < tags.length)
    throw validationError("Duplicate tag keys found: each key of a resource's tags is unique.");
  if (tags.length > maxTags)
    throw validationError(`A resource has at most ${maxTags} tags, not ${tags.length}.`);
  const reserved = tags.find(({ Key }) => /^aws:/i.test(Key));
  if (reserved !== undefined)
    throw validationError(`Tag keys starting with aws: are reserved: ${reserved.Key}`);
  return tags;
}
